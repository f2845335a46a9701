// Where a model's directory is: resolve_model of io/hf_model.h.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include "core/error.h"
#include "core/file_system.h"
#include "core/suggest.h"
#include "io/hf_model.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path expand_home(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  return fs::path(variable("HOME") + path.substr(1));
}

/// Letters, digits, '-', '_' and '.', and neither "." nor "..": never a way out of a directory.
bool is_plain_name(std::string_view part) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return !part.empty() && part != "." && part != ".." && std::all_of(part.begin(), part.end(), plain);
}

/// "org/name" (or a bare "name") as the cache's folder, or "" where it can't be a model's name.
std::string cache_folder(const std::string& name) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return is_plain_name(name) ? "models--" + name : "";
  const std::string organisation = name.substr(0, slash);
  const std::string model = name.substr(slash + 1);
  return is_plain_name(organisation) && is_plain_name(model) ? "models--" + organisation + "--" + model : "";
}

std::vector<std::string> names_in(const fs::path& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> cached_models(const fs::path& cache) {
  constexpr std::string_view kPrefix = "models--";
  std::vector<std::string> models;
  for (std::string name : names_in(cache)) {
    if (!name.starts_with(kPrefix)) continue;
    name.erase(0, kPrefix.size());
    if (const size_t dashes = name.find("--"); dashes != std::string::npos) name.replace(dashes, 2, "/");
    models.push_back(std::move(name));
  }
  return models;
}

[[noreturn]] void not_found(const std::string& name, std::string problem, const std::string& hint) {
  throw Error(ErrorKind::kModel, {.where = "model " + quote_name(name),
                                  .problem = std::move(problem),
                                  .expected = "a directory, or a name in the local Hugging Face cache",
                                  .hint = hint});
}

/// `wanted`: a branch or tag under refs/, or the hash of a snapshot; empty for main.
fs::path snapshot_of(const std::string& name, const fs::path& folder, const std::string& wanted) {
  const fs::path snapshots = folder / "snapshots";
  const fs::path ref = folder / "refs" / (wanted.empty() ? "main" : wanted);
  std::string revision;
  if (std::ifstream file(ref); file) file >> revision;
  if (revision.empty() && !wanted.empty()) {
    std::vector<std::string> known = names_in(folder / "refs");
    std::ranges::copy(names_in(snapshots), std::back_inserter(known));
    if (std::ranges::find(known, wanted) == known.end()) {
      not_found(name, "the cache has no revision " + quote_name(wanted) + ", only " + list_names(known),
                did_you_mean(wanted, known));
    }
    revision = wanted;
  }
  if (revision.empty()) {
    const std::vector<std::string> revisions = names_in(snapshots);
    if (revisions.size() != 1) {
      not_found(name,
                ref.string() + " is missing and " + snapshots.string() + " holds " + std::to_string(revisions.size()) +
                    " snapshots, not one",
                "give the directory of a snapshot");
    }
    revision = revisions.front();
  }
  if (!is_plain_name(revision)) {
    throw Error(ErrorKind::kModel, {.where = ref.string(),
                                    .problem = "not a revision",
                                    .found = quote_name(revision),
                                    .expected = "a commit hash"});
  }
  if (!fs::is_directory(status_of(snapshots / revision))) {
    not_found(name, (snapshots / revision).string() + " is missing, though " + ref.string() + " names it",
              "download the model again");
  }
  return snapshots / revision;
}

}  // namespace

/// As huggingface_hub's constants decide it.
fs::path hub_cache() {
  if (const std::string cache = variable("HF_HUB_CACHE"); !cache.empty()) return expand_home(cache);
  if (const std::string cache = variable("HUGGINGFACE_HUB_CACHE"); !cache.empty()) return expand_home(cache);
  if (const std::string home = variable("HF_HOME"); !home.empty()) return expand_home(home) / "hub";
  const std::string cache = variable("XDG_CACHE_HOME");
  return expand_home(cache.empty() ? "~/.cache" : cache) / "huggingface" / "hub";
}

fs::path resolve_model(const std::string& name_or_path) {
  const fs::path path = expand_home(name_or_path);
  const fs::file_status status = status_of(path);
  if (fs::is_directory(status)) return path;
  if (fs::exists(status)) not_found(name_or_path, "it is a file, not a directory", "");
  const size_t at = name_or_path.rfind('@');
  const std::string wanted = at == std::string::npos ? "" : name_or_path.substr(at + 1);
  const std::string name = name_or_path.substr(0, at);
  const std::string folder = at != std::string::npos && !is_plain_name(wanted) ? "" : cache_folder(name);
  if (folder.empty()) not_found(name_or_path, "no such directory", "");
  const fs::path cache = hub_cache();
  if (!fs::is_directory(status_of(cache / folder))) {
    const std::string nearest = did_you_mean(name, cached_models(cache));
    not_found(name_or_path, "no such directory here, and no " + (cache / folder).string() + " in the cache",
              nearest.empty() ? "nothing is downloaded: fetch it first, or set HF_HUB_CACHE or HF_HOME" : nearest);
  }
  return snapshot_of(name_or_path, cache / folder, wanted);
}

}  // namespace moelora::io
