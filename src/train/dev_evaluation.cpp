#include "train/dev_evaluation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "config/method.h"
#include "data/packing.h"
#include "eval/task_metrics.h"
#include "train/non_finite.h"

namespace moelora::train {
namespace {

/// Dev rows whose loss is computed in one go: their packs are in memory together.
constexpr int64_t kEvaluatedTogether = 1024;

StepLoss dev_loss(const RunSetup& setup, int64_t step) {
  const data::EncodedRows& rows = *setup.dev_rows;
  StepLoss loss;
  for (int64_t begin = 0; begin < rows.size(); begin += kEvaluatedTogether) {
    const data::StepBatches batches = data::pack_range(rows, begin, std::min(begin + kEvaluatedTogether, rows.size()),
                                                       {.tokens_per_batch = setup.config.train.tokens_per_batch});
    try {
      loss.add(loss_of(setup.model, batches));
    } catch (const NonFiniteLoss& at) {
      throw_non_finite_loss(setup, data::Split::kDev, batches, at, step);
    }
  }
  return loss;
}

/// Of the experts' weights as shares, in nats; the mean over the tasks.
double mean_entropy(const adapters::GateTable& gate) {
  double total = 0;
  for (const std::vector<float>& weights : gate.weights) {
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (const float weight : weights) {
      if (weight > 0) total -= weight / sum * std::log(weight / sum);
    }
  }
  return total / static_cast<double>(gate.weights.size());
}

}  // namespace

nlohmann::ordered_json task_losses(const RunSetup& setup, const StepLoss& loss) {
  nlohmann::ordered_json tasks = nlohmann::ordered_json::object();
  for (size_t t = 0; t < loss.tasks.size(); ++t) {
    if (loss.tasks[t].tokens > 0) tasks[setup.dataset.tasks[t].name]["loss"] = loss.tasks[t].mean();
  }
  return tasks;
}

DevEvaluation evaluate_on_dev(const RunSetup& setup, const DevScores& dev_scores, int64_t step) {
  DevEvaluation dev{.tasks = task_losses(setup, dev_loss(setup, step))};
  if (dev_scores) dev.scores = dev_scores(setup);
  for (const auto& [task, score] : dev.scores) dev.tasks[task]["score"] = score;
  double losses = 0, with_loss = 0, mean_score = 0;
  for (const auto& [task, values] : dev.tasks.items()) {
    if (!values.contains("loss")) continue;  // none of its rows fits with its answer
    losses += values["loss"].get<double>();
    ++with_loss;
  }
  for (const auto& [task, score] : dev.scores) mean_score += score / static_cast<double>(dev.scores.size());
  dev.tasks["mean"]["loss"] = losses / with_loss;
  if (dev.by_score()) dev.tasks["mean"]["score"] = mean_score;
  const std::string kind = dev.by_score() ? "score" : "loss", &best = setup.config.eval.best;
  const bool per_task = best == config::kBestPerTask;
  dev.value = dev.tasks.at(per_task ? config::kBestOfMean : best).at(kind);
  if (!per_task || config::is_made_of_runs(setup.config.adapter.method)) {  // those have judged each in its own run
    dev.judged = {dev.value};
    return dev;
  }
  const config::TaskGroups groups = setup.groups();
  for (int64_t group = 0; group < groups.count(); ++group) {
    const std::vector<size_t> members = groups.members(group);
    double sum = 0;
    for (const size_t t : members) sum += dev.tasks.at(setup.dataset.tasks[t].name).at(kind).get<double>();
    dev.judged.push_back(sum / static_cast<double>(members.size()));
  }
  return dev;
}

std::map<std::string, double> evaluation_events(const RunSetup& setup, const std::map<std::string, double>& scores) {
  std::map<std::string, double> events;
  if (setup.config.eval.generate) {
    for (const auto& [task, score] : scores) {
      events["eval/" + task + "/" +
             eval::metrics_of(setup.dataset.tasks[setup.dataset.task_index(task)]).front().name] = score;
    }
  }
  if (!config::has_task_gate(setup.config.adapter.method)) return events;
  for (const adapters::GateTable& gate : setup.model.adapters->gates())
    events["gate/" + gate.name + "/entropy"] = mean_entropy(gate);
  return events;
}

}  // namespace moelora::train
