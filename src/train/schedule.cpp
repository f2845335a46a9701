#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace moelora::train {

double LearningRate::at(int64_t step) const {
  if (step < warmup_steps) return peak * static_cast<double>(step) / static_cast<double>(warmup_steps);
  const double length = static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
  const double progress = std::clamp(static_cast<double>(step - warmup_steps) / length, 0.0, 1.0);
  switch (schedule) {
    case config::Schedule::kLinear:
      return peak * (1 - progress);
    case config::Schedule::kCosine:
      return peak * 0.5 * (1 + std::cos(std::numbers::pi * progress));
    case config::Schedule::kConstant:
      break;
  }
  return peak;
}

}  // namespace moelora::train
