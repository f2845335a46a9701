#include "compare/run_record.h"

#include <cmath>
#include <exception>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "config/run_config.h"
#include "core/durable.h"
#include "core/log.h"
#include "io/json_file.h"

namespace moelora::compare {
namespace {

/// To a picture's precision: a result is a small file.
double rounded(double loss) {
  return std::round(loss * 1e5) / 1e5;
}

void read_curves_of(const std::filesystem::path& run, Result& result) {
  std::ifstream lines(run / "metrics.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json record = nlohmann::json::parse(line);
    if (record.contains("train")) result.train_curve.push_back({record.at("step"), record["train"].at("loss")});
    if (!record.contains("eval")) continue;
    for (const auto& [task, values] : record["eval"].items()) {
      if (!values.contains("loss")) continue;  // a score alone, of a task none of whose dev rows fit with their answers
      const CurvePoint point{record.at("step"), values["loss"]};
      if (task == config::kBestOfMean) {
        result.dev_curve.push_back(point);
      } else {
        result.task_dev_curves[task].push_back({point.step, rounded(point.loss)});
      }
    }
  }
}

}  // namespace

Stopwatch::Stopwatch(std::filesystem::path file) : file_(std::move(file)) {
  if (std::filesystem::exists(file_)) before_ = io::read_json_object(file_).value("seconds", 0.0);
}

Stopwatch::~Stopwatch() {
  try {
    write_file_atomically(file_, nlohmann::json{{"seconds", seconds()}}.dump() + "\n");
  } catch (const std::exception& problem) {
    log_warn(file_.string() + ": " + problem.what());
  }
}

double Stopwatch::seconds() const {
  return before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void record_test(const eval::Evaluation& evaluation, Result& result) {
  result.test_seconds = evaluation.seconds;
  std::map<std::string, int64_t> groups;
  for (const eval::TaskReport& task : evaluation.report.tasks) {
    TaskResult& one = result.tasks.emplace_back();
    one.task = task.task;
    one.metric = task.result.metric;
    one.score = task.result.score;
    for (const eval::RowPrediction& row : task.rows) {
      one.rows.push_back(row.score);
      const std::string name =
          row.group.empty() ? "row " + std::to_string(one.rows.size()) + " of " + task.task : "group " + row.group;
      one.groups.push_back(groups.try_emplace(name, static_cast<int64_t>(groups.size())).first->second);
    }
  }
}

void read_curves(const std::filesystem::path& run, Result& result) {
  read_curves_of(run, result);
  // Methods made of runs have none of their own: each task's is that of its LoRA, in steps of that run.
  const std::filesystem::path tasks = run / "tasks";
  if (!std::filesystem::is_directory(tasks)) return;
  for (const std::filesystem::directory_entry& task : std::filesystem::directory_iterator(tasks)) {
    Result own;
    read_curves_of(task.path(), own);
    result.task_dev_curves.merge(own.task_dev_curves);
  }
}

}  // namespace moelora::compare
