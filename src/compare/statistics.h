// The statistics of a comparison, apart from what is compared: textbook formulas on plain numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moelora::compare {

struct Spread {
  double mean = 0;
  double deviation = 0;  // of the sample, with n - 1; 0 of one number
  int64_t count = 0;
};
Spread spread_of(std::span<const double> values);

/// Holm's step-down correction (Holm, "A simple sequentially rejective multiple test procedure", 1979): adjusted
/// p-values in the order given, max over the smaller ones of min(1, (m - rank) p).
std::vector<double> holm(std::span<const double> p_values);

/// The q-quantile of sorted values, linear between neighbours (numpy's default).
double quantile(std::span<const double> sorted, double q);

/// What a bootstrap found of a statistic that is 0 where nothing differs.
struct BootstrapResult {
  double estimate = 0;
  double low = 0;  // 2.5 % and 97.5 % quantiles of the resampled statistic
  double high = 0;
  double p = 1;  // two-sided: twice the smaller share of resamples on one side of 0, itself counted: 2 (k + 1) / (n +
                 // 1), at most 1
};
BootstrapResult summarise_bootstrap(double estimate, std::vector<double> resampled);

/// How often each group is drawn when as many as there are are drawn with replacement: counts of `groups` numbers that
/// sum to it. A pure function of (seed, resample, stratum).
std::vector<int64_t> draw_with_replacement(int64_t groups, uint64_t seed, uint64_t resample, uint32_t stratum);

}  // namespace moelora::compare
