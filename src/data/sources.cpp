#include "data/sources.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <system_error>

#include "core/file_system.h"
#include "core/suggest.h"
#include "core/utf8.h"
#include "data/dataset_info.h"
#include "data/file_name.h"

namespace moelora::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 6> kLicenceNames = {"LICENSE", "LICENSE.txt", "LICENSE.md",
                                                      "LICENCE", "LICENCE.txt", "COPYING"};
const std::vector<std::string> kSplitStems = {"train", "dev", "test", "valid", "validation"};

std::optional<Split> split_of_stem(const std::string& stem) {
  if (stem == "train") return Split::kTrain;
  if (stem == "dev" || stem == "valid" || stem == "validation") return Split::kDev;
  if (stem == "test") return Split::kTest;
  return std::nullopt;
}

/// Whether a file found in a directory is taken for rows.
bool is_data_file(const fs::path& path) {
  return parse_data_file_name(path).is_data() && path.filename() != kDatasetInfoFile;
}

std::string stem_of(const fs::path& path) {
  return parse_data_file_name(path).stem;
}

/// A path, and the entry that follows `#` behind a dataset_info.json.
std::pair<fs::path, std::string> split_fragment(const std::string& path) {
  const size_t mark = path.rfind('#');
  if (mark == std::string::npos || fs::path(path.substr(0, mark)).filename() != kDatasetInfoFile) return {path, ""};
  return {path.substr(0, mark), path.substr(mark + 1)};
}

/// The name of a directory, also where the path ends with a slash or is ".".
std::string directory_name(const fs::path& path) {
  return real_path(path).filename().string();
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
  std::vector<std::string> other_data;  // files of rows that aren't splits
};

class Lister {
 public:
  Lister(const config::DataConfig& config, const DatasetRequest& request) : config_(config), request_(request) {}

  SourceList list() {
    for (const config::DataSource& source : config_.sources) {
      try {
        add_source(source);
      } catch (const Error& error) {
        list_.errors.push_back(error);
      }
    }
    if (config_.sources.empty()) {
      list_.errors.push_back(
          Error(ErrorKind::kConfig, {"data", "no data is configured", "", "a directory, a file or a list of sources"}));
    }
    return std::move(list_);
  }

 private:
  void fail(ErrorKind kind, ErrorDetails details) { list_.errors.push_back(Error(kind, std::move(details))); }

  void add_source(const config::DataSource& source) {
    const auto [path, data_set] = split_fragment(source.path);
    const fs::file_status status = status_of(path);
    if (!fs::exists(status))
      return fail(ErrorKind::kData, {source.path, "the data source doesn't exist", "", "a directory or a file"});
    if (path.filename() == kDatasetInfoFile && !fs::is_directory(status)) return add_info(source, path, data_set);
    if (!fs::is_directory(status)) return add_file(source);

    const size_t files = list_.files.size(), errors = list_.errors.size();
    add_directory(source, path);
    if (!source.split || list_.files.size() > files || list_.errors.size() > errors) return;
    fail(ErrorKind::kData, {source.path, "the directory has no files of the source's split", "",
                            *source.split + " files, or a source without `split:`"});
  }

  void add_directory(const config::DataSource& source, const fs::path& path) {
    Listing listing;
    if (!read_directory(path, listing)) return;
    if (add_files_of_tasks(source, path, listing)) return;
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

  /// Directories with one file a task: <task>.jsonl with the source's `split:`, or {train,dev,test}/<task>.jsonl. False
  /// where it isn't one.
  bool add_files_of_tasks(const config::DataSource& source, const fs::path& path, const Listing& listing) {
    if (source.split && listing.splits.empty() && !listing.other_data.empty() && !has_directories_of_tasks(listing)) {
      for (const std::string& name : listing.other_data)
        add_task_file(source, path / name, *split_named(*source.split));
      return true;
    }
    if (!listing.splits.empty() || listing.directories.empty() || !listing.other_data.empty()) return false;
    std::map<Split, Listing> splits;
    for (const auto& [name, directory] : listing.directories) {
      const std::optional<Split> split = split_of_stem(name);
      Listing inner;
      if (!split || !read_directory(directory, inner) || !inner.splits.empty() || inner.other_data.empty())
        return false;
      if (!splits.emplace(*split, std::move(inner)).second) return false;
    }
    for (const auto& [split, inner] : splits) {
      if (source.split && *source.split != split_name(split)) continue;
      const auto directory = std::ranges::find_if(
          listing.directories, [wanted = split](const auto& entry) { return split_of_stem(entry.first) == wanted; });
      for (const std::string& name : inner.other_data) add_task_file(source, directory->second / name, split);
    }
    return true;
  }

  bool has_directories_of_tasks(const Listing& listing) {
    return std::ranges::any_of(listing.directories, [this](const auto& entry) {
      Listing inner;
      return read_directory(entry.second, inner) && !inner.splits.empty();
    });
  }

  void add_task_file(const config::DataSource& source, const fs::path& path, Split split) {
    add({.path = path, .split = split, .format = source.format, .task = source.task, .fallback_task = stem_of(path)},
        path.parent_path());
  }

  static std::optional<Split> split_named(const std::string& name) {
    for (const Split split : kSplits) {
      if (name == split_name(split)) return split;
    }
    return std::nullopt;
  }

  /// LLaMA-Factory's list of data sets: each entry a task of the entry's name.
  void add_info(const config::DataSource& source, const fs::path& info, const std::string& data_set) {
    for (InfoEntry& entry : read_dataset_info(info, data_set)) {
      const std::optional<Split> split = source.split ? split_named(*source.split) : split_of_stem(stem_of(entry.path));
      if (!split) {
        fail(ErrorKind::kConfig, {info.string() + ": `" + entry.name + "`", "nothing says which split the data set is",
                                  "", "train, dev or test", "give the source a `split:`"});
        continue;
      }
      const std::string format = entry.columns.format;
      const fs::path path = entry.path;
      add({.path = path,
           .split = *split,
           .format = format,
           .columns = std::make_shared<ColumnMap>(std::move(entry.columns)),
           .task = source.task,
           .fallback_task = entry.name},
          path.parent_path());
    }
  }

  template <typename Map>
  static std::vector<std::string> names_of(const Map& map) {
    std::vector<std::string> names;
    names.reserve(map.size());
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
        const std::optional<Split> split = split_of_stem(stem_of(entry));
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
      const DataFileName parts = parse_data_file_name(name);
      const std::string near = nearest_name(parts.stem, kSplitStems);
      if (!near.empty() && hint.empty()) hint = "`" + name + "`: did you mean `" + near + parts.ending + "`?";
    }
    if (hint.empty() && !listing.other_data.empty())
      hint =
          "where each file is a task, give the source a `split:`, or put the files into folders train/, dev/ and test/";
    fail(ErrorKind::kData,
         {path.string(), "the directory has no split files",
          listing.other_data.empty() ? "no .jsonl, .json or .csv file" : list_names(listing.other_data, 6),
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
    std::optional<Split> split = split_of_stem(stem_of(path));
    std::optional<std::string> fallback;
    if (source.split) {
      split = split_named(*source.split);
      if (!split) {
        return fail(ErrorKind::kConfig,
                    {source.path, "unknown split `" + *source.split + "`", "", "train, dev or test"});
      }
    } else if (!split) {
      split = request_.unnamed_files_are;
      if (!split) {
        return fail(ErrorKind::kConfig, {source.path, "the file's name doesn't say which split it is", "",
                                         "train, dev or test", "give the source a `split:`"});
      }
    }
    if (request_.unnamed_files_are) fallback = stem_of(path);
    add({.path = path, .split = *split, .format = source.format, .task = source.task, .fallback_task = fallback},
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

bool is_left_out(const config::DataConfig& config, std::string_view task) {
  return !config.tasks.empty() && std::ranges::find(config.tasks, task) == config.tasks.end();
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  return error ? path : real;
}

}  // namespace moelora::data
