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
    case RopeConfig::Scaling::kNone:
      return frequency;
    case RopeConfig::Scaling::kLinear:
      return frequency / rope.factor;
    case RopeConfig::Scaling::kLlama3:
      break;
  }
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength > rope.original_positions / rope.low_frequency_factor) return frequency / rope.factor;
  if (wavelength < rope.original_positions / rope.high_frequency_factor) return frequency;
  const double keep = (rope.original_positions / wavelength - rope.low_frequency_factor) /
                      (rope.high_frequency_factor - rope.low_frequency_factor);
  return (1 - keep) * frequency / rope.factor + keep * frequency;
}

}  // namespace

RopeTable::RopeTable(const RopeConfig& rope, int64_t head_dim) : magnitude_(rope.magnitude) {
  const int64_t half = static_cast<int64_t>(static_cast<double>(head_dim) * rope.rotated_share) / 2;
  inverse_frequencies_ = at::empty({half}, at::kFloat);
  float* out = inverse_frequencies_.data_ptr<float>();
  for (int64_t i = 0; i < half; ++i) {
    const double frequency = std::pow(rope.theta, -static_cast<double>(i) / static_cast<double>(half));
    out[i] = static_cast<float>(scaled(frequency, rope) / (rope.divisors.empty() ? 1 : rope.divisors.at(i)));
  }
}

Rotation RopeTable::at_positions(const at::Tensor& positions, at::ScalarType dtype) const {
  const at::ScalarType angle_type = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor angles = at::outer(positions.to(angle_type), inverse_frequencies_.to(angle_type));
  if (magnitude_ == 1) return {at::cos(angles), at::sin(angles)};
  return {at::cos(angles).mul(magnitude_), at::sin(angles).mul(magnitude_)};
}

}  // namespace moelora::nn
