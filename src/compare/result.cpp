#include "compare/result.h"

#include <algorithm>

#include "core/error.h"
#include "eval/rescore.h"

namespace moelora::compare {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kFormatVersion = 2;  // 1: a task's groups were numbered by themselves

json curve_json(const std::vector<CurvePoint>& curve) {
  json points = json::array();
  for (const CurvePoint& point : curve) points.push_back({point.step, point.loss});
  return points;
}

std::vector<CurvePoint> curve_from(const json& points) {
  std::vector<CurvePoint> curve;
  for (const json& point : points) curve.push_back({point.at(0), point.at(1)});
  return curve;
}

/// Rows as short lists of numbers: [right, wrong, missed] where the metric counts items, [gold, answered] as places in
/// `classes` where it counts classes, else the row's score. answered is -1 for none, -2 - place for one that wasn't on
/// the row's list; such an answer that is no row's gold is none, so that nothing generated freely is kept.
ordered_json task_json(const TaskResult& task) {
  ordered_json out = {{"metric", task.metric}, {"score", task.score}, {"groups", task.groups}};
  std::vector<std::string> classes;
  const auto place = [&](const std::string& name) -> int64_t {
    const auto found = std::ranges::find(classes, name);
    if (found != classes.end()) return found - classes.begin();
    classes.push_back(name);
    return static_cast<int64_t>(classes.size()) - 1;
  };
  for (const eval::RowScore& row : task.rows) {
    if (!row.gold.empty()) place(row.gold);
  }
  const auto answered_place = [&](const eval::RowScore& row) -> int64_t {
    if (row.answered.empty()) return -1;
    if (row.listed) return place(row.answered);
    const auto found = std::ranges::find(classes, row.answered);
    return found == classes.end() ? -1 : -2 - (found - classes.begin());
  };
  ordered_json rows = ordered_json::array();
  for (const eval::RowScore& row : task.rows) {
    if (!row.gold.empty()) {
      const int64_t gold = place(row.gold), answered = answered_place(row);
      rows.push_back({gold, answered});
    } else if (eval::counts_items(task.metric)) {
      rows.push_back({row.right, row.wrong, row.missed});
    } else {
      rows.push_back(row.score);
    }
  }
  out["classes"] = classes;
  out["rows"] = std::move(rows);
  return out;
}

TaskResult task_from(const std::string& name, const json& in) {
  TaskResult task{.task = name, .metric = in.at("metric"), .score = in.at("score"), .groups = in.at("groups")};
  const std::vector<std::string> classes = in.at("classes");
  for (const json& row : in.at("rows")) {
    eval::RowScore score;
    if (!row.is_array()) {
      score.score = row;
    } else if (row.size() == 3) {
      score.right = row.at(0), score.wrong = row.at(1), score.missed = row.at(2);
    } else {
      score.gold = classes.at(row.at(0));
      const int64_t answered = row.at(1);
      score.listed = answered >= 0;
      if (answered != -1) score.answered = classes.at(static_cast<size_t>(score.listed ? answered : -2 - answered));
      score.score = score.gold == score.answered ? 1 : 0;
    }
    task.rows.push_back(std::move(score));
  }
  if (task.groups.size() != task.rows.size()) throw std::out_of_range("groups and rows differ in number");
  return task;
}

}  // namespace

ordered_json to_json(const Result& result) {
  ordered_json out = {{"format_version", kFormatVersion},
                      {"key", result.key},
                      {"variant", result.variant},
                      {"learning_rate", result.learning_rate},
                      {"seed", result.seed},
                      {"identity", result.identity},
                      {"parameters", result.parameters},
                      {"steps", result.steps},
                      {"best_step", result.best_step},
                      {"dev", result.dev ? ordered_json(*result.dev) : ordered_json()},
                      {"dev_is_score", result.dev_is_score},
                      {"seconds", {{"train", result.train_seconds}, {"test", result.test_seconds}}},
                      {"curves", {{"train", curve_json(result.train_curve)}, {"dev", curve_json(result.dev_curve)}}}};
  if (!result.diverged.empty()) out["diverged"] = result.diverged;
  out["curves"]["dev_of_tasks"] = ordered_json::object();
  for (const auto& [task, curve] : result.task_dev_curves) out["curves"]["dev_of_tasks"][task] = curve_json(curve);
  ordered_json gates = ordered_json::array();
  for (const adapters::GateTable& gate : result.gates)
    gates.push_back({{"name", gate.name}, {"weights", gate.weights}});
  out["gates"] = {{"tasks", result.gate_tasks}, {"tables", gates}};
  out["tasks"] = ordered_json::object();
  for (const TaskResult& task : result.tasks) out["tasks"][task.task] = task_json(task);
  return out;
}

Result result_from(const json& in, const std::string& where) {
  try {
    if (in.at("format_version") != kFormatVersion) throw std::out_of_range("format_version");
    Result result{.key = in.at("key"),
                  .variant = in.at("variant"),
                  .learning_rate = in.at("learning_rate"),
                  .seed = in.at("seed"),
                  .identity = in.at("identity"),
                  .diverged = in.value("diverged", ""),
                  .parameters = in.at("parameters"),
                  .steps = in.at("steps"),
                  .best_step = in.at("best_step"),
                  .dev_is_score = in.at("dev_is_score"),
                  .train_seconds = in.at("seconds").at("train"),
                  .test_seconds = in.at("seconds").at("test"),
                  .train_curve = curve_from(in.at("curves").at("train")),
                  .dev_curve = curve_from(in.at("curves").at("dev")),
                  .gate_tasks = in.at("gates").at("tasks")};
    const json task_curves = in["curves"].value("dev_of_tasks", json::object());
    for (const auto& [task, curve] : task_curves.items()) result.task_dev_curves[task] = curve_from(curve);
    if (!in.at("dev").is_null()) result.dev = in["dev"].get<double>();
    for (const json& gate : in["gates"].at("tables")) result.gates.push_back({gate.at("name"), gate.at("weights")});
    for (const auto& [name, task] : in.at("tasks").items()) result.tasks.push_back(task_from(name, task));
    return result;
  } catch (const json::exception& problem) {
    throw Error(ErrorKind::kModel,
                {.where = where, .problem = "not a result that moelora compare wrote", .found = problem.what()});
  } catch (const std::out_of_range& problem) {
    throw Error(ErrorKind::kModel,
                {.where = where, .problem = "not a result that moelora compare wrote", .found = problem.what()});
  }
}

}  // namespace moelora::compare
