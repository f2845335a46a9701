// Random weights of a model's shape: for training from a random start (`random_init`), benchmarks and tests.
#pragma once

#include <cstdint>

#include "nn/weight_source.h"

namespace moelora::nn {

/// Norms 1 (or what is given: 0 for those that multiply by 1 + weight), biases 0, everything else N(0, deviation²),
/// each a pure function of (seed, name, row, column).
class RandomWeights : public WeightSource {
 public:
  RandomWeights(uint64_t seed, double deviation, double norm = 1) : seed_(seed), deviation_(deviation), norm_(norm) {}

  bool contains(const std::string&) const override { return true; }
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) override;

 private:
  uint64_t seed_;
  double deviation_;
  double norm_;
};

}  // namespace moelora::nn
