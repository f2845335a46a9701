#include "train/dev_evaluation.h"

#include "data/packing.h"

namespace moelora::train {

nlohmann::ordered_json task_losses(const RunSetup& setup, const StepLoss& loss) {
  nlohmann::ordered_json tasks = nlohmann::ordered_json::object();
  for (size_t t = 0; t < loss.tasks.size(); ++t) {
    if (loss.tasks[t].tokens > 0) tasks[setup.dataset.tasks[t].name]["loss"] = loss.tasks[t].mean();
  }
  return tasks;
}

DevEvaluation evaluate_on_dev(const RunSetup& setup, const DevScores& dev_scores) {
  const StepLoss loss =
      loss_of(setup.model, data::pack_all(*setup.dev_rows, {.tokens_per_batch = setup.config.train.tokens_per_batch}));
  DevEvaluation dev{.tasks = task_losses(setup, loss)};
  std::map<std::string, double> scores;
  if (dev_scores) scores = dev_scores(setup);
  for (const auto& [task, score] : scores) dev.tasks[task]["score"] = score;
  double mean_loss = 0, mean_score = 0;
  for (const auto& [task, values] : dev.tasks.items())
    mean_loss += values.value("loss", 0.0) / static_cast<double>(dev.tasks.size());
  for (const auto& [task, score] : scores) mean_score += score / static_cast<double>(scores.size());
  dev.tasks["mean"]["loss"] = mean_loss;
  if (!scores.empty()) dev.tasks["mean"]["score"] = mean_score;
  dev.by_score = !scores.empty();
  dev.value = dev.tasks.at(setup.config.eval.best).at(dev.by_score ? "score" : "loss");
  return dev;
}

}  // namespace moelora::train
