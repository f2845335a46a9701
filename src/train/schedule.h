// The learning rate at each optimizer step.
#pragma once

#include <cstdint>

#include "config/run_config.h"

namespace moelora::train {

/// Rises linearly over the first `warmup_steps` steps, then falls to 0 at `total_steps` (linear, cosine) or stays
/// (constant).
struct LearningRate {
  double peak = 0;
  config::Schedule schedule = config::Schedule::kLinear;
  int64_t warmup_steps = 0;
  int64_t total_steps = 1;

  /// Of the step that is taken next, `step` counted from 0. As transformers' schedules: the first of w warm-up steps
  /// has rate 0, the last step is one before 0.
  double at(int64_t step) const;
};

}  // namespace moelora::train
