#include "compare/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/random.h"

namespace moelora::compare {

Spread spread_of(std::span<const double> values) {
  Spread spread{.count = static_cast<int64_t>(values.size())};
  if (values.empty()) return spread;
  const double n = static_cast<double>(values.size());
  for (const double value : values) spread.mean += value / n;
  if (values.size() == 1) return spread;
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  spread.deviation = std::sqrt(squares / (n - 1));
  return spread;
}

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(order.size() - rank) * p_values[order[rank]]));
    adjusted[order[rank]] = largest;
  }
  return adjusted;
}

double quantile(std::span<const double> sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

BootstrapResult summarise_bootstrap(double estimate, std::vector<double> resampled) {
  std::ranges::sort(resampled);
  const auto at_most = std::ranges::count_if(resampled, [](double value) { return value <= 0; });
  const auto at_least = std::ranges::count_if(resampled, [](double value) { return value >= 0; });
  const double smaller = static_cast<double>(std::min(at_most, at_least));
  return {.estimate = estimate,
          .low = quantile(resampled, 0.025),
          .high = quantile(resampled, 0.975),
          .p = std::min(1.0, 2 * (smaller + 1) / (static_cast<double>(resampled.size()) + 1))};
}

std::vector<int64_t> draw_with_replacement(int64_t groups, uint64_t seed, uint64_t resample, uint32_t stratum) {
  Random random(seed, RandomStream::kBootstrap, resample, stratum);
  std::vector<int64_t> counts(groups, 0);
  for (int64_t i = 0; i < groups; ++i) ++counts[random.below(groups)];
  return counts;
}

}  // namespace moelora::compare
