// Cosines and sines of the rotary embedding at given positions.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "nn/model_config.h"

namespace moelora::nn {

class RopeTable {
 public:
  explicit RopeTable(const ModelConfig& config);

  /// {cos, sin}, each [T, head_dim / 2] float32 (float64 where `dtype` is), of positions [T] int64.
  std::pair<at::Tensor, at::Tensor> at_positions(const at::Tensor& positions, at::ScalarType dtype) const;

 private:
  at::Tensor inverse_frequencies_;  // [head_dim / 2] float32
};

}  // namespace moelora::nn
