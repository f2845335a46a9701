// A model on the dev rows: losses, scores where they are asked for, and the one number that runs and steps are compared
// by.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/setup.h"
#include "train/step.h"
#include "train/trainer.h"

namespace moelora::train {

struct DevEvaluation {
  nlohmann::ordered_json tasks;  // task -> {"loss", and "score" where there are scores}, and "mean" over the tasks
  std::map<std::string, double> scores;  // by task; empty where none were asked for
  double value = 0;                      // what eval.best names; with `per_task` the mean
  /// What steps are judged by: `value` alone; with `per_task` the mean over each group's tasks.
  std::vector<double> judged;

  /// They are scores: higher is better; else losses.
  bool by_score() const { return !scores.empty(); }
};

/// `scores` may be null. There must be dev rows. Throws Error (kNumeric) naming `step` and the row whose loss isn't
/// finite, Error (kInterrupted) on a signal, and what `scores` throws.
DevEvaluation evaluate_on_dev(const RunSetup& setup, const DevScores& scores, int64_t step);

/// What TensorBoard gets beside them: `eval/<task>/<metric>` of each score, and the entropy of each gate's weights (in
/// nats, the mean over the tasks).
std::map<std::string, double> evaluation_events(const RunSetup& setup, const std::map<std::string, double>& scores);

/// task -> {"loss"}, of those that have tokens in `loss`.
nlohmann::ordered_json task_losses(const RunSetup& setup, const StepLoss& loss);

}  // namespace moelora::train
