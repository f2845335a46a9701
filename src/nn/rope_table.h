// Cosines and sines of the rotary embedding at given positions.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/model_config.h"

namespace moelora::nn {

struct Rotation {
  at::Tensor cos;  // [T, rotated / 2]
  at::Tensor sin;  // [T, rotated / 2]
};

class RopeTable {
 public:
  RopeTable(const RopeConfig& rope, int64_t head_dim);

  /// In float32 (float64 where `dtype` is), of positions [T] int64.
  Rotation at_positions(const at::Tensor& positions, at::ScalarType dtype) const;

 private:
  at::Tensor inverse_frequencies_;  // [rotated / 2] float32
  double magnitude_;
};

}  // namespace moelora::nn
