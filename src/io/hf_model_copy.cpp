#include "io/hf_model_copy.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "io/mapped_file.h"
#include "io/quote.h"
#include "io/tensor_file.h"

namespace moelora::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::string_view kConfigFile = "config.json";
constexpr std::string_view kTemplatesFolder = "additional_chat_templates";

/// Weights, in whatever form: those of the model before the change.
bool holds_weights(const std::string& name) {
  constexpr std::array<std::string_view, 15> kEndings = {
      ".safetensors", ".index.json", ".bin",  ".pt",   ".pth",       ".ckpt", ".pkl",   ".h5",
      ".msgpack",     ".gguf",       ".ggml", ".onnx", ".onnx_data", ".npz",  ".tflite"};
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

class Copier {
 public:
  Copier(const fs::path& dir, const HfModel& source, const HfModelCopy& copy, FileSystem& file_system)
      : source_(source), writer_(dir, file_system) {
    for (const auto& [name, change] : copy.changes) {
      const std::optional<std::string> stored = source.stored_name(name);
      if (!stored) {
        throw Error(ErrorKind::kModel, {.where = source.dir().string(),
                                        .problem = "the model has no tensor " + quote_name(name),
                                        .expected = "a weight for every adapted linear"});
      }
      if (source.is_nf4(name)) {
        throw Error(ErrorKind::kModel, {.where = source.dir().string(),
                                        .problem = "its weights are stored in 4 bits and can't take an adapter in",
                                        .found = quote_name(name) + " in NF4",
                                        .expected = "a base in 16 or 32 bits",
                                        .hint = "export the adapter itself: --format peft"});
      }
      changes_.emplace(*stored, &change);
    }
  }

  void copy(const std::string& readme) {
    for (const auto& file : source_.files()) copy_weights(file);
    const fs::path first = source_.files().front()->path();
    if (first.filename() != kSingleFile) add(std::string(kIndexFile));
    for (const std::string& name : files_beside_weights(source_.dir())) add(name);
    writer_.add_file("README.md", readme);
    add(std::string(kConfigFile));
    writer_.commit({{"kind", "hf-model"}});
  }

 private:
  void add(const std::string& name) { writer_.add_file(name, MappedFile::open(source_.dir() / name)->bytes()); }

  void copy_weights(const std::shared_ptr<const SafetensorsFile>& file) {
    std::vector<TensorInfo> infos;
    for (const std::string& name : file->names()) infos.push_back({name, file->at(name).dtype, file->at(name).shape});
    const SafetensorsLayout layout = lay_out_safetensors(infos, file->metadata());
    DurableFile out = writer_.open_file(fs::path(file->path()).filename().string());
    out.write(layout.head);
    for (const size_t index : layout.order) {
      throw_if_interrupted();
      write_tensor(out, file, infos[index].name);
      file->release(infos[index].name);
    }
    out.finish();
  }

  void write_tensor(DurableFile& out, const std::shared_ptr<const SafetensorsFile>& file, const std::string& name) {
    const auto change = changes_.find(name);
    if (change == changes_.end()) return out.write(file->at(name).bytes);
    const at::Tensor stored = tensor_of(file, name);
    const at::Tensor changed = (*change->second)(stored).contiguous();
    if (changed.sizes() != stored.sizes() || changed.scalar_type() != stored.scalar_type()) {
      throw Error(ErrorKind::kInternal,
                  {.where = tensor_place(file->path(), name), .problem = "its change has another shape or dtype"});
    }
    if (!changed.isfinite().all().item<bool>()) {
      throw Error(ErrorKind::kNumeric, {.where = tensor_place(file->path(), name),
                                        .problem = "with the adapter merged into it, it isn't finite in its dtype",
                                        .found = std::string(dtype_name(file->at(name).dtype))});
    }
    out.write({static_cast<const std::byte*>(changed.const_data_ptr()), changed.nbytes()});
  }

  const HfModel& source_;
  DirectoryWriter writer_;
  std::map<std::string, const TensorChange*> changes_;  // by stored name
};

}  // namespace

std::vector<std::string> files_beside_weights(const fs::path& dir) {
  std::vector<std::string> names;
  for (const std::string& folder : {std::string(), std::string(kTemplatesFolder) + "/"}) {
    std::error_code error;
    for (fs::directory_iterator entry(dir / folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      std::error_code ignored;
      if (name.starts_with('.') || !fs::is_regular_file(entry->path(), ignored) || holds_weights(name)) continue;
      if (name == kConfigFile || name == "README.md" || name == kManifestName) continue;
      names.push_back(folder + name);
    }
    if (error && folder.empty()) throw io_error(dir, "list the directory", error.value());
  }
  std::ranges::sort(names);
  return names;
}

void write_hf_copy(const fs::path& dir, const HfModel& source, const HfModelCopy& copy, FileSystem& file_system) {
  Copier(dir, source, copy, file_system).copy(copy.readme);
}

}  // namespace moelora::io
