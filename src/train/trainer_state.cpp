#include "train/trainer_state.h"

#include "core/error.h"

namespace moelora::train {
namespace {

nlohmann::ordered_json hf_log_entry(const nlohmann::json& line) {
  nlohmann::ordered_json entry;
  if (const auto train = line.find("train"); train != line.end()) {
    entry = {{"loss", train->at("loss")},
             {"grad_norm", train->at("gradient_norm")},
             {"learning_rate", train->at("learning_rate")}};
  }
  if (const auto eval = line.find("eval"); eval != line.end()) {
    for (const auto& [task, values] : eval->items()) {
      for (const auto& [name, value] : values.items())
        entry["eval_" + (task == "mean" ? "" : task + "_") + name] = value;
    }
  }
  entry["epoch"] = line.at("epoch");
  entry["step"] = line.at("step");
  return entry;
}

}  // namespace

nlohmann::json TrainerState::to_json() const {
  nlohmann::json tasks = nlohmann::json::array();
  for (const TaskLoss& task : window.tasks) tasks.push_back({task.sum, task.tokens});
  nlohmann::json json = {{"step", step},
                         {"epoch", cursor.epoch},
                         {"step_in_epoch", cursor.step},
                         {"tokens", tokens},
                         {"metrics_size", metrics_size},
                         {"window", {{"objective", window.objective}, {"tasks", tasks}, {"steps", window_steps}}},
                         {"idle_steps", idle_steps},
                         {"standings", nlohmann::json::array()},
                         {"evaluation_due", evaluation_due},
                         {"time", {{"seconds", seconds}, {"run_seconds", run_seconds}}}};
  for (const Standing& standing : standings) json["standings"].push_back(standing.to_json());
  return json;
}

TrainerState TrainerState::from_json(const nlohmann::json& json, const std::string& where) {
  try {
    TrainerState state;
    state.step = json.at("step");
    state.cursor = {json.at("epoch"), json.at("step_in_epoch")};
    state.tokens = json.at("tokens");
    state.metrics_size = json.at("metrics_size");
    const nlohmann::json& window = json.at("window");
    state.window.objective = window.at("objective");
    for (const nlohmann::json& task : window.at("tasks")) state.window.tasks.push_back({task.at(0), task.at(1)});
    state.window_steps = window.at("steps");
    state.idle_steps = json.at("idle_steps");
    for (const nlohmann::json& standing : json.at("standings"))
      state.standings.push_back(Standing::from_json(standing));
    state.evaluation_due = json.value("evaluation_due", false);
    if (json.contains("time")) {
      state.seconds = json["time"].at("seconds");
      state.run_seconds = json["time"].at("run_seconds");
    }
    return state;
  } catch (const nlohmann::json::exception& problem) {
    throw Error(ErrorKind::kModel,
                {.where = where, .problem = "not a state that a run wrote", .found = problem.what()});
  }
}

nlohmann::ordered_json hf_trainer_state(const TrainerState& state, double epoch, int64_t total_steps) {
  nlohmann::ordered_json json = {{"best_metric", nullptr}, {"best_model_checkpoint", nullptr}};
  if (state.standings.size() == 1 && state.standings[0].best) {
    json["best_metric"] = state.standings[0].best->value;
    json["best_model_checkpoint"] = "checkpoint-" + std::to_string(state.standings[0].best->step);
  }
  json["epoch"] = epoch;
  json["global_step"] = state.step;
  json["max_steps"] = total_steps;
  json["log_history"] = nlohmann::ordered_json::array();
  for (const nlohmann::json& line : state.history) {
    if (line.contains("train") || line.contains("eval")) json["log_history"].push_back(hf_log_entry(line));
  }
  return json;
}

}  // namespace moelora::train
