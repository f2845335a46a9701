#include "train/dev_evaluation.h"

#include <algorithm>

#include "data/packing.h"
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
  double mean_loss = 0, mean_score = 0;
  for (const auto& [task, values] : dev.tasks.items())
    mean_loss += values.value("loss", 0.0) / static_cast<double>(dev.tasks.size());
  for (const auto& [task, score] : dev.scores) mean_score += score / static_cast<double>(dev.scores.size());
  dev.tasks["mean"]["loss"] = mean_loss;
  if (dev.by_score()) dev.tasks["mean"]["score"] = mean_score;
  dev.value = dev.tasks.at(setup.config.eval.best).at(dev.by_score() ? "score" : "loss");
  return dev;
}

}  // namespace moelora::train
