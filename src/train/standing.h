// How evaluations on the dev rows have gone: what was best, and how long ago that was.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace moelora::train {

/// The best evaluation so far. Lower is better for losses, higher for metrics.
struct Best {
  int64_t step = 0;
  double value = 0;
};

struct Standing {
  std::optional<Best> best;
  int64_t evaluations_without_improvement = 0;

  /// Takes the evaluation of a step; whether it is the best so far.
  bool add(const Best& evaluation, bool higher_is_better);
  /// `patience` evaluations without improvement; never where it is 0.
  bool is_stopped(int64_t patience) const { return patience > 0 && evaluations_without_improvement >= patience; }

  nlohmann::json to_json() const;
  /// Throws nlohmann::json::exception.
  static Standing from_json(const nlohmann::json& json);
};

}  // namespace moelora::train
