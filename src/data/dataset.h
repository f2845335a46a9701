// The configured sources -> tasks with their training, dev and test rows: every file found, read, labelled and checked.
//
// A source is
//   a directory of tasks    <task>/{train,dev,test}.jsonl; sub-directories without such a file are an error where they
//                           hold other files of rows, else ignored
//   a directory of splits   {train,dev,test}.jsonl, the task from the rows, else the directory's name
//   a file per task         <task>.jsonl with the source's `split`, or {train,dev,test}/<task>.jsonl
//   a dataset_info.json     LLaMA-Factory's list (dataset_info.h), each entry a task of its name; with `#name` one
//   a file                  its split from the configuration, else from its name
// with any ending that file_name.h takes for rows; `valid` and `validation` mean dev.
// A row's task: the source's `task`, else the row's own label, else the name of the directory, file or entry that is a
// task above; with none of them it is an error.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"
#include "data/row.h"

namespace moelora::data {

enum class Split { kTrain, kDev, kTest };
inline constexpr std::array<Split, 3> kSplits = {Split::kTrain, Split::kDev, Split::kTest};
std::string_view split_name(Split split);

/// One file that was read; goes into the run's manifest.
struct SourceFile {
  std::string path;
  Split split = Split::kTrain;
  std::string format;
  std::string hash;  // XXH3-128, 32 hex digits
  std::string
      licence;  // of its rows, else the first line of the LICENSE file beside it or one directory up; else empty
  int64_t rows = 0;
  int64_t bad_rows = 0;  // skipped
};

struct Task {
  std::string name;
  config::TaskConfig settings;           // its exceptions; defaults where the configuration has none
  std::array<std::vector<Row>, 3> rows;  // by Split, in the order of the sources and their lines
  const std::vector<Row>& of(Split split) const { return rows[static_cast<size_t>(split)]; }

  /// task_type of the first row that has one; empty where none has.
  std::string task_type() const;
};

struct Dataset {
  std::vector<Task> tasks;        // sorted by name (bytes)
  std::vector<SourceFile> files;  // in the order read
  std::string hash;  // XXH3-128 over every file's split and hash, as read; independent of where the files lie
  std::vector<std::string> warnings;
  config::DataConfig config;

  int64_t rows(Split split) const;
  std::vector<std::string> task_names() const;
  /// Throws Error(kUsage) with the nearest name for an unknown task: never a default.
  int64_t task_index(std::string_view name) const;
};

struct DatasetRequest {
  std::vector<Split> splits = {Split::kTrain, Split::kDev, Split::kTest};  // other files aren't opened
  std::vector<Split> required = {Split::kTrain};                           // every task must have rows in these
  /// Split of a file whose name says none, which then also names the task of rows without a label. Nothing: an error.
  std::optional<Split> unnamed_files_are;
  bool allow_unused_settings = false;  // settings of a task without rows are no error: other data than the run's
};

/// Throws ErrorList (kData, kConfig or kIo, by the first) with every problem found: the first malformed row of each
/// file, missing files and splits, unknown tasks in `tasks`, empty tasks. A task without dev rows is a warning.
/// `max_rows` of a task keeps evenly spaced training rows.
Dataset load_dataset(const config::DataConfig& config, const std::map<std::string, config::TaskConfig>& tasks,
                     const DatasetRequest& request = {});

}  // namespace moelora::data
