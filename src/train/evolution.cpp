#include "train/evolution.h"

#include <cmath>

#include "core/random.h"

namespace moelora::train {
namespace {

using Vector = std::vector<double>;

/// Step size and covariance A A^T of the search distribution, adapted by success. Constants as published, for n
/// dimensions.
class Distribution {
 public:
  Distribution(size_t n, double step) : n_(n), step_(step), factor_(n, Vector(n, 0.0)) {
    for (size_t i = 0; i < n; ++i) factor_[i][i] = 1;
  }

  /// A z, of length n.
  Vector shape(const Vector& z) const {
    Vector out(n_, 0.0);
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j < n_; ++j) out[i] += factor_[i][j] * z[j];
    }
    return out;
  }
  double step() const { return step_; }

  /// A trial A z was made and was at least as good, or not.
  void learn(bool success, const Vector& z) {
    const double n = static_cast<double>(n_), damping = 1 + n / 2, target = 2.0 / 11, smoothing = 1.0 / 12;
    success_rate_ = (1 - smoothing) * success_rate_ + (success ? smoothing : 0);
    step_ *= std::exp((success_rate_ - target * (1 - success_rate_) / (1 - target)) / damping);
    if (!success || success_rate_ >= 0.44) return;
    const double weight = 2 / (n * n + 6), kept = std::sqrt(1 - weight);
    double length = 0;
    for (const double value : z) length += value * value;
    if (length == 0) return;
    const double gain = kept / length * (std::sqrt(1 + weight / (1 - weight) * length) - 1);
    const Vector shaped = shape(z);
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j < n_; ++j) factor_[i][j] = kept * factor_[i][j] + gain * shaped[i] * z[j];
    }
  }

 private:
  size_t n_;
  double step_;
  double success_rate_ = 2.0 / 11;
  std::vector<Vector> factor_;
};

}  // namespace

Minimum minimise_by_evolution(const std::function<double(const Vector&)>& function, Vector start,
                              const EvolutionOptions& options) {
  const size_t n = start.size();
  Minimum best{std::move(start), 0};
  best.value = function(best.x);
  Distribution distribution(n, options.step);
  Random random(options.seed, RandomStream::kSearch);
  for (int64_t evaluation = 1; evaluation < options.evaluations; ++evaluation) {
    Vector z(n);
    for (double& value : z) value = random.normal();
    const Vector shaped = distribution.shape(z);
    Vector trial = best.x;
    bool inside = true;
    for (size_t i = 0; i < n; ++i) {
      trial[i] += distribution.step() * shaped[i];
      inside = inside && std::abs(trial[i]) <= options.bound;
    }
    const double value = inside ? function(trial) : 0;
    const bool success = inside && value <= best.value;
    distribution.learn(success, z);
    if (success) best = {std::move(trial), value};
  }
  return best;
}

}  // namespace moelora::train
