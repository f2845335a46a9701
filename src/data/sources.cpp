#include "data/sources.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <system_error>

#include "core/suggest.h"
#include "core/utf8.h"

namespace moelora::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 6> kLicenceNames = {"LICENSE", "LICENSE.txt", "LICENSE.md",
                                                      "LICENCE", "LICENCE.txt", "COPYING"};
const std::vector<std::string> kSplitStems = {"train", "dev", "test", "valid", "validation"};

std::optional<Split> split_of_name(std::string_view name) {
  for (const Split split : kSplits) {
    if (name == split_name(split)) return split;
  }
  return std::nullopt;
}

std::optional<Split> split_of_stem(const std::string& stem) {
  if (stem == "train") return Split::kTrain;
  if (stem == "dev" || stem == "valid" || stem == "validation") return Split::kDev;
  if (stem == "test") return Split::kTest;
  return std::nullopt;
}

bool is_data_file(const fs::path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".json";
}

/// The name of a directory, also where the path ends with a slash or is ".".
std::string directory_name(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::weakly_canonical(path, error);
  return (error ? path : whole).filename().string();
}

/// The first line with text of the licence file in `directory`, at most 120 bytes; empty where there is none.
std::string licence_in(const fs::path& directory) {
  for (const char* name : kLicenceNames) {
    std::ifstream file(directory / name);
    std::string line;
    for (int lines = 0; lines < 100 && std::getline(file, line); ++lines) {
      line.erase(0, line.find_first_not_of(" \t\r#"));
      if (line.empty()) continue;
      line.resize(std::min<size_t>(line.size(), 120));
      if (const auto invalid = first_invalid_utf8(line)) line.resize(*invalid);
      std::erase_if(line, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
      return line;
    }
  }
  return "";
}

struct Listing {
  std::map<std::string, fs::path> directories;  // visible ones, by name
  std::map<Split, std::vector<fs::path>> splits;
  std::vector<std::string> other_data;  // .json and .jsonl files that aren't splits
};

class Lister {
 public:
  Lister(const config::DataConfig& config, const DatasetRequest& request) : config_(config), request_(request) {}

  SourceList list() {
    for (const config::DataSource& source : config_.sources) add_source(source);
    if (config_.sources.empty()) {
      list_.errors.push_back(
          Error(ErrorKind::kConfig, {"data", "no data is configured", "", "a directory, a file or a list of sources"}));
    }
    return std::move(list_);
  }

 private:
  void fail(ErrorKind kind, ErrorDetails details) { list_.errors.push_back(Error(kind, std::move(details))); }

  void add_source(const config::DataSource& source) {
    std::error_code error;
    const fs::path path = source.path;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status))
      return fail(ErrorKind::kData, {source.path, "the data source doesn't exist", "", "a directory or a file"});
    if (!fs::is_directory(status)) return add_file(source);

    Listing listing;
    if (!read_directory(path, listing)) return;
    std::map<std::string, Listing> tasks;
    for (const auto& [name, directory] : listing.directories) {
      Listing inner;
      if (!read_directory(directory, inner)) continue;
      if (!inner.splits.empty()) {
        tasks.emplace(name, std::move(inner));
      } else if (!inner.other_data.empty()) {
        no_splits(directory, inner);
      }
    }
    if (!listing.splits.empty() && !tasks.empty()) {
      return fail(ErrorKind::kData, {source.path, "the directory holds both split files and task directories",
                                     "task directories " + list_names(names_of(tasks)), "one of the two",
                                     "name each as a source of its own under `data:`"});
    }
    if (!tasks.empty()) {
      if (!listing.other_data.empty()) ignored(path, listing);
      for (const auto& [name, inner] : tasks) add_splits(source, listing.directories.at(name), inner);
    } else if (!listing.splits.empty()) {
      add_splits(source, path, listing);
    } else {
      no_splits(path, listing);
    }
  }

  template <typename Map>
  static std::vector<std::string> names_of(const Map& map) {
    std::vector<std::string> names;
    for (const auto& [name, value] : map) names.push_back(name);
    return names;
  }

  bool read_directory(const fs::path& path, Listing& listing) {
    std::error_code error;
    fs::directory_iterator entries(path, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      const fs::path entry = entries->path();
      const std::string name = entry.filename().string();
      std::error_code ignored;
      if (name.starts_with(".")) continue;
      if (entries->is_directory(ignored)) {
        listing.directories[name] = entry;
      } else if (is_data_file(entry)) {
        const std::optional<Split> split = split_of_stem(entry.stem().string());
        if (split) {
          listing.splits[*split].push_back(entry);
        } else {
          listing.other_data.push_back(name);
        }
      }
    }
    std::ranges::sort(listing.other_data);
    for (auto& [split, files] : listing.splits) std::ranges::sort(files);
    if (error) fail(ErrorKind::kIo, {path.string(), "can't list the directory (" + error.message() + ")"});
    return !error;
  }

  void no_splits(const fs::path& path, const Listing& listing) {
    std::string hint;
    for (const std::string& name : listing.other_data) {
      const std::string near = nearest_name(fs::path(name).stem().string(), kSplitStems);
      if (!near.empty() && hint.empty())
        hint = "`" + name + "`: did you mean `" + near + fs::path(name).extension().string() + "`?";
    }
    if (hint.empty() && !listing.other_data.empty()) hint = "name a file itself as a source, with its `split:`";
    fail(ErrorKind::kData, {path.string(), "the directory has no split files",
                            listing.other_data.empty() ? "no .jsonl or .json file" : list_names(listing.other_data, 6),
                            "train.jsonl, dev.jsonl, test.jsonl, or directories <task>/ that hold them", hint});
  }

  void ignored(const fs::path& path, const Listing& listing) {
    list_.warnings.push_back(path.string() +
                             ": ignored, not named train, dev or test: " + list_names(listing.other_data, 6));
  }

  void add_splits(const config::DataSource& source, const fs::path& directory, const Listing& listing) {
    if (!listing.other_data.empty()) ignored(directory, listing);
    for (const Split split : kSplits) {
      const auto files = listing.splits.find(split);
      if (files == listing.splits.end()) continue;
      if (files->second.size() > 1) {
        fail(ErrorKind::kData,
             {directory.string(), "several files for the split " + std::string(split_name(split)),
              files->second[0].filename().string() + " and " + files->second[1].filename().string(), "one"});
        continue;
      }
      if (source.split && *source.split != split_name(split)) continue;
      add({.path = files->second[0],
           .split = split,
           .format = source.format,
           .task = source.task,
           .fallback_task = directory_name(directory)},
          directory);
    }
  }

  void add_file(const config::DataSource& source) {
    const fs::path path = source.path;
    const std::optional<Split> named =
        source.split ? split_of_name(*source.split) : split_of_stem(path.stem().string());
    if (!named && source.split) {
      return fail(ErrorKind::kConfig, {source.path, "unknown split `" + *source.split + "`", "", "train, dev or test"});
    }
    if (!named && !request_.unnamed_files_are) {
      return fail(ErrorKind::kConfig, {source.path, "the file's name doesn't say which split it is", "",
                                       "train, dev or test", "give the source a `split:`"});
    }
    const Split split = named ? *named : *request_.unnamed_files_are;
    std::optional<std::string> fallback;
    if (request_.unnamed_files_are) fallback = path.stem().string();
    add({.path = path, .split = split, .format = source.format, .task = source.task, .fallback_task = fallback},
        path.parent_path());
  }

  void add(SourceEntry entry, const fs::path& directory) {
    entry.licence = licence_in(directory);
    if (entry.licence.empty()) entry.licence = licence_in(directory / "..");
    list_.files.push_back(std::move(entry));
  }

  const config::DataConfig& config_;
  const DatasetRequest& request_;
  SourceList list_;
};

}  // namespace

SourceList list_sources(const config::DataConfig& config, const DatasetRequest& request) {
  return Lister(config, request).list();
}

}  // namespace moelora::data
