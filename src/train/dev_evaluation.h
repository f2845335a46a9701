// A model on the dev rows: losses, scores where they are asked for, and the one number that runs and steps are compared
// by.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "train/setup.h"
#include "train/step.h"
#include "train/trainer.h"

namespace moelora::train {

struct DevEvaluation {
  nlohmann::ordered_json tasks;  // task -> {"loss", and "score" where there are scores}, and "mean" over the tasks
  std::map<std::string, double> scores;  // by task; empty where none were asked for
  double value = 0;                      // what eval.best names

  /// `value` is a score: higher is better; else a loss.
  bool by_score() const { return !scores.empty(); }
};

/// `scores` may be null. There must be dev rows. Throws Error (kNumeric) naming `step` and the row whose loss isn't
/// finite, Error (kInterrupted) on a signal, and what `scores` throws.
DevEvaluation evaluate_on_dev(const RunSetup& setup, const DevScores& scores, int64_t step);

/// task -> {"loss"}, of those that have tokens in `loss`.
nlohmann::ordered_json task_losses(const RunSetup& setup, const StepLoss& loss);

}  // namespace moelora::train
