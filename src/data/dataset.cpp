#include "data/dataset.h"

#include <algorithm>
#include <set>

#include "config/task_name.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/suggest.h"
#include "data/evenly_spaced.h"
#include "data/row_file.h"
#include "data/sources.h"

namespace moelora::data {
namespace {

bool contains(const std::vector<Split>& splits, Split split) {
  return std::ranges::find(splits, split) != splits.end();
}

void thin(std::vector<Row>& rows, int64_t most) {
  std::vector<Row> kept;
  for (const int64_t row : evenly_spaced(std::ssize(rows), most)) kept.push_back(std::move(rows[row]));
  rows = std::move(kept);
}

class Loader {
 public:
  Loader(const config::DataConfig& config, const std::map<std::string, config::TaskConfig>& settings,
         const DatasetRequest& request)
      : config_(config), settings_(settings), request_(request) {}

  Dataset load() {
    SourceList sources = list_sources(config_, request_);
    errors_ = std::move(sources.errors);
    result_.warnings = std::move(sources.warnings);
    result_.config = config_;
    for (const SourceEntry& entry : sources.files) {
      if (!contains(request_.splits, entry.split)) continue;
      try {
        read(entry);
      } catch (const Error& error) {
        errors_.push_back(error);
      }
    }
    check_tasks();
    if (!errors_.empty()) throw ErrorList(std::move(errors_));
    for (auto& [name, task] : tasks_) {
      if (task.settings.max_rows) thin(task.rows[static_cast<size_t>(Split::kTrain)], *task.settings.max_rows);
      result_.tasks.push_back(std::move(task));
    }
    result_.hash = hash();
    return std::move(result_);
  }

 private:
  /// Of a file some of whose rows are taken; `data.tasks` may leave out those of another source.
  void check_repeat(const SourceEntry& entry) {
    if (taken_files_.insert(real_path(entry.path)).second) return;
    errors_.push_back(Error(ErrorKind::kConfig,
                            {entry.path.string(), "the file is named by two data sources", "", "each file once"}));
  }

  void read(const SourceEntry& entry) {
    RowFileOptions options{.format = entry.format, .columns = entry.columns, .group_key = config_.group};
    if (config_.skip_bad) options.skip_bad = std::max<int64_t>(config_.max_bad - bad_rows_, 0);
    RowFile file = read_row_file(entry.path, options);
    bad_rows_ += static_cast<int64_t>(file.bad.size());
    if (!file.bad.empty()) {
      result_.warnings.push_back(file.path + ": skipped " + std::to_string(file.bad.size()) +
                                 " malformed rows (first: " + file.bad.front().what() + ")");
    }
    result_.files.push_back({.path = file.path,
                             .split = entry.split,
                             .format = file.format,
                             .hash = file.hash,
                             .licence = file.licence.empty() ? entry.licence : file.licence,
                             .rows = static_cast<int64_t>(file.rows.size()),
                             .bad_rows = static_cast<int64_t>(file.bad.size())});
    labels_.push_back((entry.task ? "=" + *entry.task : entry.fallback_task.value_or("")) +
                      (entry.columns ? " " + describe(*entry.columns) : ""));
    bool other_label = false, taken = false;
    for (Row& row : file.rows) {
      label(entry, row);
      if (is_left_out(config_, row.task)) {
        left_out_.insert(row.task);
        continue;
      }
      if (!other_label && !entry.task && entry.fallback_task && row.task != *entry.fallback_task &&
          !request_.unnamed_files_are) {
        other_label = true;
        result_.warnings.push_back(row.where() + ": the row's own label `" + row.task + "` names its task, not `" +
                                   *entry.fallback_task + "`, its folder or file");
      }
      taken = true;
      Task& task = tasks_[row.task];
      if (task.name.empty()) task.name = row.task;
      task.rows[static_cast<size_t>(entry.split)].push_back(std::move(row));
    }
    if (taken) check_repeat(entry);
  }

  void label(const SourceEntry& entry, Row& row) {
    if (entry.task) {
      row.task = *entry.task;
    } else if (row.task.empty()) {
      row.task = entry.fallback_task.value_or("");
    }
    if (row.task.empty()) {
      throw Error(ErrorKind::kData, {row.where(), "the row names no task", "", "`task`, `task_dataset` or `channel`",
                                     "or give the source a `task:`"});
    }
    if (!config::is_task_name(row.task)) {
      throw Error(ErrorKind::kData, {row.where(), "the task's name can't be used as one", "", config::kTaskNameRule,
                                     "give the source a `task:`"});
    }
  }

  void check_tasks() {
    const bool complete = errors_.empty();  // otherwise what is missing may stand in what couldn't be read
    std::vector<std::string> names;
    for (const auto& [name, task] : tasks_) names.push_back(name);
    for (auto& [name, task] : tasks_) {
      const auto settings = settings_.find(name);
      if (settings != settings_.end()) task.settings = settings->second;
    }
    if (!complete) return;
    if (!request_.allow_unused_settings) check_chosen(names);
    if (contains(request_.splits, Split::kTrain)) {
      for (const auto& [name, settings] : settings_) {
        if (tasks_.contains(name) || left_out_.contains(name) || request_.allow_unused_settings) continue;
        errors_.push_back(Error(ErrorKind::kConfig, {"tasks." + name, "no data for the task `" + name + "`",
                                                     "the tasks " + list_names(names), "", did_you_mean(name, names)}));
      }
    }
    for (const auto& [name, task] : tasks_) {
      for (const Split split : request_.required) {
        if (!task.of(split).empty()) continue;
        errors_.push_back(
            Error(ErrorKind::kData, {"task " + name, "the task has no " + std::string(split_name(split)) + " rows",
                                     found(task), std::string(split_name(split)) + " rows for every task"}));
      }
      if (contains(request_.splits, Split::kDev) && !contains(request_.required, Split::kDev) &&
          task.of(Split::kDev).empty()) {
        result_.warnings.push_back("task " + name +
                                   " has no dev rows: it takes no part in choosing the best checkpoint");
      }
    }
    if (tasks_.empty()) {
      std::string wanted;
      for (const Split split : request_.splits)
        wanted += (wanted.empty() ? "" : " or ") + std::string(split_name(split));
      errors_.push_back(Error(ErrorKind::kData, {"data", "the sources hold no " + wanted + " rows"}));
    }
  }

  /// Every task of `data.tasks` must have rows.
  void check_chosen(std::vector<std::string> names) {
    names.insert(names.end(), left_out_.begin(), left_out_.end());
    for (const std::string& name : config_.tasks) {
      if (tasks_.contains(name)) continue;
      errors_.push_back(Error(ErrorKind::kConfig, {"data.tasks", "no data for the task `" + name + "`", "",
                                                   "the tasks " + list_names(names), did_you_mean(name, names)}));
    }
  }

  static std::string found(const Task& task) {
    std::string text;
    for (const Split split : kSplits) {
      if (task.of(split).empty()) continue;
      text += (text.empty() ? "" : ", ") + std::to_string(task.of(split).size()) + " " + std::string(split_name(split));
    }
    return text + " rows";
  }

  std::string hash() const {
    std::vector<std::string> lines;
    for (size_t i = 0; i < result_.files.size(); ++i) {
      lines.push_back(std::string(split_name(result_.files[i].split)) + " " + result_.files[i].hash + " " + labels_[i] +
                      "\n");
    }
    Hasher hasher;
    for (const std::string& line : lines) hasher.update(line);
    return hasher.hex();
  }

  const config::DataConfig& config_;
  const std::map<std::string, config::TaskConfig>& settings_;
  const DatasetRequest& request_;
  std::map<std::string, Task> tasks_;
  std::set<std::filesystem::path> taken_files_;
  std::set<std::string> left_out_;   // tasks that data.tasks doesn't name
  std::vector<std::string> labels_;  // of each file: what gives its rows their task, and their columns other names
  std::vector<Error> errors_;
  int64_t bad_rows_ = 0;
  Dataset result_;
};

}  // namespace

std::string_view split_name(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kDev:
      return "dev";
    case Split::kTest:
      return "test";
  }
  return "";
}

std::string Task::task_type() const {
  for (const std::vector<Row>& split : rows) {
    for (const Row& row : split) {
      if (!row.task_type.empty()) return row.task_type;
    }
  }
  return "";
}

int64_t Dataset::rows(Split split) const {
  int64_t count = 0;
  for (const Task& task : tasks) count += static_cast<int64_t>(task.of(split).size());
  return count;
}

std::vector<std::string> Dataset::task_names() const {
  std::vector<std::string> names;
  for (const Task& task : tasks) names.push_back(task.name);
  return names;
}

int64_t Dataset::task_index(std::string_view name) const {
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].name == name) return static_cast<int64_t>(i);
  }
  const std::vector<std::string> names = task_names();
  throw Error(ErrorKind::kUsage, {"", "unknown task `" + std::string(name) + "`", "", "one of " + list_names(names),
                                  did_you_mean(name, names)});
}

Dataset load_dataset(const config::DataConfig& config, const std::map<std::string, config::TaskConfig>& tasks,
                     const DatasetRequest& request) {
  return Loader(config, tasks, request).load();
}

}  // namespace moelora::data
