#include "nn/rope_table.h"

#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sin.h>

#include <cmath>
#include <numbers>

namespace moelora::nn {
namespace {

/// Llama 3.1's rule for one inverse frequency; see RopeConfig.
double scaled(double frequency, const RopeConfig& rope) {
  switch (rope.scaling) {
    case RopeConfig::Scaling::kNone: return frequency;
    case RopeConfig::Scaling::kLinear: return frequency / rope.factor;
    case RopeConfig::Scaling::kLlama3: break;
  }
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength > rope.original_positions / rope.low_frequency_factor) return frequency / rope.factor;
  if (wavelength < rope.original_positions / rope.high_frequency_factor) return frequency;
  const double keep = (rope.original_positions / wavelength - rope.low_frequency_factor) /
                      (rope.high_frequency_factor - rope.low_frequency_factor);
  return (1 - keep) * frequency / rope.factor + keep * frequency;
}

}  // namespace

RopeTable::RopeTable(const ModelConfig& config) {
  const int64_t half = config.head_dim / 2;
  inverse_frequencies_ = at::empty({half}, at::kFloat);
  float* out = inverse_frequencies_.data_ptr<float>();
  for (int64_t i = 0; i < half; ++i) {
    out[i] = static_cast<float>(scaled(std::pow(config.rope.theta, -static_cast<double>(2 * i) / config.head_dim), config.rope));
  }
}

std::pair<at::Tensor, at::Tensor> RopeTable::at_positions(const at::Tensor& positions, at::ScalarType dtype) const {
  const at::ScalarType angle_type = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor angles = at::outer(positions.to(angle_type), inverse_frequencies_.to(angle_type));
  return {at::cos(angles), at::sin(angles)};
}

}  // namespace moelora::nn
