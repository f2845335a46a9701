// Minimising a function of a few numbers from its values alone: the (1+1)-CMA-ES with a Cholesky factor (Igel, Suttorp
// and Hansen, "A computational efficient covariance matrix update and a (1+1)-CMA for evolution strategies", GECCO
// 2006).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace moelora::train {

struct EvolutionOptions {
  double step = 0.3;    // deviation of the first trials
  double bound = 1e30;  // |x_i| at most this: a trial outside counts as worse and isn't evaluated
  int64_t evaluations = 100;
  uint64_t seed = 0;
};

struct Minimum {
  std::vector<double> x;
  double value = 0;
};

/// The best point seen, `start` among them. `function` may throw. The same for the same seed.
Minimum minimise_by_evolution(const std::function<double(const std::vector<double>&)>& function,
                              std::vector<double> start, const EvolutionOptions& options);

}  // namespace moelora::train
