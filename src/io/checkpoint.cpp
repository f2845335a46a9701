#include "io/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "core/durable.h"
#include "core/error.h"
#include "io/json_file.h"
#include "io/manifested.h"

namespace moelora::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKind = "checkpoint";
constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kTensorFile = "tensors.safetensors";
constexpr std::string_view kStateFile = "state.json";

/// The step of a name that checkpoint_dir gives, or nothing.
std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = -1;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size();
  if (const auto [rest, error] = std::from_chars(begin, end, step); error != std::errc() || rest != end)
    return std::nullopt;
  if (step < 0 || name != std::string(kPrefix) + std::to_string(step)) return std::nullopt;
  return step;
}

/// Newest first. Throws Error(kIo) where the directory is there and can't be listed.
std::vector<int64_t> steps_in(const fs::path& run_dir) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator entry(run_dir, error), end; !error && entry != end; entry.increment(error)) {
    if (const auto step = step_of(entry->path().filename().string())) steps.push_back(*step);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw Error(ErrorKind::kIo,
                {.where = run_dir.string(), .problem = "can't list the directory", .found = error.message()});
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

/// Manifest, checksums, and that the directory is the checkpoint its name says.
Manifest verify_checkpoint(const fs::path& dir) {
  Manifest manifest = verify_manifested(dir, kKind, {kTensorFile, kStateFile});
  const auto step = manifest.fields.find("step");
  const auto identity = manifest.fields.find("identity");
  const auto expected = step_of(dir.filename().string());
  if (step == manifest.fields.end() || !step->is_number_integer() || (expected && step->get<int64_t>() != *expected) ||
      identity == manifest.fields.end() || !identity->is_object()) {
    throw Error(ErrorKind::kModel, {.where = (dir / kManifestName).string(),
                                    .problem = "its step or identity isn't this directory's",
                                    .found = step == manifest.fields.end() ? "no step" : "step " + step->dump()});
  }
  return manifest;
}

bool verifies(const fs::path& dir) {
  try {
    verify_checkpoint(dir);
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;
    return false;
  }
}

}  // namespace

fs::path checkpoint_dir(const fs::path& run_dir, int64_t step) {
  return run_dir / (std::string(kPrefix) + std::to_string(step));
}

fs::path save_checkpoint(const fs::path& run_dir, const Checkpoint& checkpoint, FileSystem& file_system) {
  const fs::path dir = checkpoint_dir(run_dir, checkpoint.step);
  DirectoryWriter writer(dir, file_system);
  DurableFile file = writer.open_file(kTensorFile);
  write_tensors(checkpoint.tensors, {{"format", "pt"}}, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.finish();
  writer.add_file(kStateFile, json_text(checkpoint.state, std::string(kStateFile)));
  writer.commit({{"kind", kKind}, {"step", checkpoint.step}, {"identity", checkpoint.identity}});
  verify_checkpoint(dir);
  return dir;
}

Checkpoint load_checkpoint(const fs::path& dir) {
  const Manifest manifest = verify_checkpoint(dir);
  return {.step = manifest.fields.at("step").get<int64_t>(),
          .tensors = read_all_tensors(dir / kTensorFile),
          .state = read_json_object(dir / kStateFile),
          .identity = nlohmann::json(manifest.fields.at("identity"))};
}

NewestCheckpoint newest_valid_checkpoint(const fs::path& run_dir) {
  NewestCheckpoint newest;
  for (const int64_t step : steps_in(run_dir)) {
    const fs::path dir = checkpoint_dir(run_dir, step);
    try {
      newest.checkpoint = load_checkpoint(dir);
      newest.dir = dir;
      return newest;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kIo) throw;  // says nothing about the checkpoint
      newest.bad.push_back({dir, error.what()});
    }
  }
  return newest;
}

fs::path set_aside_checkpoint(const fs::path& dir, FileSystem& file_system) {
  const fs::path aside = dir.parent_path() / ("bad-" + dir.filename().string());
  fs::path free = aside;
  std::error_code ignored;
  for (int n = 2; fs::exists(free, ignored); ++n) free = aside.string() + "-" + std::to_string(n);
  if (const int result = file_system.rename_new(dir, free); result < 0) {
    throw Error(ErrorKind::kIo, {.where = dir.string(),
                                 .problem = "can't rename it to " + free.filename().string(),
                                 .found = std::system_category().message(-result)});
  }
  return free;
}

std::vector<fs::path> prune_checkpoints(const fs::path& run_dir, int64_t keep,
                                        const std::vector<int64_t>& protected_steps, FileSystem& file_system) {
  const std::vector<int64_t> steps = steps_in(run_dir);
  std::vector<fs::path> removed;
  if (steps.empty() || !verifies(checkpoint_dir(run_dir, steps.front()))) return removed;
  int64_t valid = 1;
  std::vector<fs::path> surplus;
  for (size_t i = 1; i < steps.size(); ++i) {
    const fs::path dir = checkpoint_dir(run_dir, steps[i]);
    if (valid < std::max<int64_t>(keep, 2)) {
      valid += verifies(dir) ? 1 : 0;
    } else if (std::find(protected_steps.begin(), protected_steps.end(), steps[i]) == protected_steps.end()) {
      surplus.push_back(dir);
    }
  }
  // Oldest first: whatever interrupts this, the newest are left.
  for (auto dir = surplus.rbegin(); dir != surplus.rend(); ++dir) {
    remove_directory(*dir, file_system);
    removed.push_back(*dir);
  }
  return removed;
}

}  // namespace moelora::io
