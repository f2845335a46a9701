// What one finished run leaves for a comparison: a small file that can be committed and carried to another machine. No
// row's text is in it; of each test row there is what it adds to its task's score, so that a bootstrap can draw rows
// again.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "adapters/gate_table.h"
#include "eval/metric.h"

namespace moelora::compare {

struct TaskResult {
  std::string task;
  std::string metric;
  double score = 0;
  std::vector<eval::RowScore> rows;
  std::vector<int64_t> groups;  // of each row: rows of one number belong together (data.group), of other tasks too
};

struct CurvePoint {
  int64_t step = 0;
  double loss = 0;
};

struct Result {
  std::string key;      // cells.h: of configuration, data, base and code
  std::string variant;  // "lora", "lora, adapter.rank=4"
  std::string learning_rate;
  uint64_t seed = 0;
  nlohmann::json identity;  // the hashes that the key is made of
  std::string diverged;     // where, and what wasn't finite; empty where all was

  int64_t parameters = 0;  // trained
  int64_t steps = 0;
  int64_t best_step = 0;
  std::optional<double> dev;  // of eval.best: what the learning rate is chosen by
  bool dev_is_score = false;  // higher is better; else a loss
  double train_seconds = 0;   // of all processes that worked on it, evaluations on dev rows included
  double test_seconds = 0;
  std::vector<CurvePoint> train_curve;
  std::vector<CurvePoint> dev_curve;  // mean over the tasks
  std::map<std::string, std::vector<CurvePoint>> task_dev_curves;
  std::vector<adapters::GateTable> gates;  // empty where no gate sees the task
  std::vector<std::string> gate_tasks;     // rows of each table
  std::vector<TaskResult> tasks;  // on the test rows; empty for a run that only served to choose a learning rate
};

nlohmann::ordered_json to_json(const Result& result);
/// Throws Error (kModel) naming `where` on anything else than to_json wrote.
Result result_from(const nlohmann::json& json, const std::string& where);

}  // namespace moelora::compare
