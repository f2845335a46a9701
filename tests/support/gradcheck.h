// Checks hand-written gradients against central differences in float64, and gives tests seeded random tensors.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/random.h"

namespace moelora::test {

/// Standard normal numbers of shape `sizes`, float64, the same for the same seed; `scale` multiplies them.
inline at::Tensor random_tensor(const std::vector<int64_t>& sizes, uint64_t seed, double scale = 1) {
  at::Tensor x = at::empty(sizes, at::kDouble);
  Random random(seed, RandomStream::kData);
  double* data = x.mutable_data_ptr<double>();
  for (int64_t i = 0; i < x.numel(); ++i) data[i] = scale * random.normal();
  return x;
}

/// The next of a fixed sequence of such tensors, as `type`.
inline at::Tensor next_random_tensor(const std::vector<int64_t>& sizes, at::ScalarType type) {
  static uint64_t seed = 1;
  return random_tensor(sizes, seed++).to(type);
}

/// Largest absolute difference, both as float64; infinity where shapes differ or a value is not finite.
inline double max_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  if (a.numel() == 0) return 0;
  const double difference = a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>();
  return std::isfinite(difference) ? difference : INFINITY;
}

/// Largest difference relative to the largest absolute value of `expected`.
inline double relative_difference(const at::Tensor& found, const at::Tensor& expected) {
  if (expected.numel() == 0) return max_difference(found, expected);
  return max_difference(found, expected) / std::max(1e-30, expected.to(at::kDouble).abs().max().item<double>());
}

/// Fails unless, for every input, the gradient of sum(f(inputs) * fixed random weights) equals its central difference.
/// `function` returns any number of tensors; inputs are float64 leaves that require a gradient. Every element of every
/// input is perturbed: keep them small.
inline void expect_gradients(const std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>& function,
                             const std::vector<at::Tensor>& values, double tolerance = 1e-7, double step = 1e-5) {
  std::vector<at::Tensor> inputs;
  inputs.reserve(values.size());
  for (const at::Tensor& value : values) inputs.push_back(value.detach().clone().set_requires_grad(true));
  const auto weighted = [&](const std::vector<at::Tensor>& at_inputs) {
    at::Tensor total;
    uint64_t seed = 1000;
    for (const at::Tensor& output : function(at_inputs)) {
      const at::Tensor part = output.mul(random_tensor(output.sizes().vec(), seed++)).sum();
      total = total.defined() ? total.add(part) : part;
    }
    return total;
  };
  const std::vector<at::Tensor> gradients =
      torch::autograd::grad({weighted(inputs)}, inputs, {}, std::nullopt, false, /*allow_unused=*/true);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_TRUE(gradients[i].defined()) << "input " << i << " got no gradient";
    ASSERT_EQ(gradients[i].sizes(), inputs[i].sizes());
    std::vector<at::Tensor> moved;
    moved.reserve(inputs.size());
    for (const at::Tensor& input : inputs) moved.push_back(input.detach().clone());
    const at::Tensor found = gradients[i].contiguous();
    double* data = moved[i].mutable_data_ptr<double>();
    double worst = 0;
    for (int64_t j = 0; j < moved[i].numel(); ++j) {
      const double kept = data[j];
      data[j] = kept + step;
      const double up = weighted(moved).item<double>();
      data[j] = kept - step;
      const double down = weighted(moved).item<double>();
      data[j] = kept;
      const double expected = (up - down) / (2 * step);
      const double error = std::abs(found.const_data_ptr<double>()[j] - expected) / std::max(1.0, std::abs(expected));
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
    EXPECT_LE(worst, tolerance) << "gradient of input " << i;
  }
}

}  // namespace moelora::test
