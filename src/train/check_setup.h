// What can be wrong between configuration, data and model although each is right by itself: found together, before
// weights are loaded.
#pragma once

#include "train/setup.h"

namespace moelora::train {

/// Throws ErrorList with everything of
///   kConfig  eval.best that names no task with dev samples, or a method that needs dev rows of every task and lacks
///            some; `adapter.start` of a method that doesn't train one adapter; a metric that is written wrong;
///            a target that matches nothing
///   kData    rows beyond the model's context, or with token ids that the model doesn't have (the first 20 of a split)
///   either   what keeps the dev rows from being scored, under eval.generate
/// What keeps rows from being scored otherwise is added to setup.dataset.warnings: `moelora eval` takes another metric.
void check_setup(RunSetup& setup);

}  // namespace moelora::train
