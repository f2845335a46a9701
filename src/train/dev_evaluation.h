// A model on the dev rows: losses, scores where they are asked for, and the one number that runs and steps are compared
// by.
#pragma once

#include <nlohmann/json.hpp>

#include "train/setup.h"
#include "train/step.h"
#include "train/trainer.h"

namespace moelora::train {

struct DevEvaluation {
  nlohmann::ordered_json tasks;  // task -> {"loss", and "score" where there are scores}, and "mean" over the tasks
  double value = 0;              // what eval.best names
  bool by_score = false;         // a score: higher is better; else a loss
};

/// `scores` may be null. There must be dev rows. Throws as loss_of and `scores` do.
DevEvaluation evaluate_on_dev(const RunSetup& setup, const DevScores& scores);

/// task -> {"loss"}, of those that have tokens in `loss`.
nlohmann::ordered_json task_losses(const RunSetup& setup, const StepLoss& loss);

}  // namespace moelora::train
