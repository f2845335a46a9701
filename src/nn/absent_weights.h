// Weights that aren't there: a decoder of the right shape, for what needs its linears' paths and sizes but computes
// nothing (collapsing an adapter for export). Takes no memory, whatever the model's size.
#pragma once

#include "nn/weight_source.h"

namespace moelora::nn {

/// Every tensor is one zero, expanded to the shape asked for. Never compute with it and never write to it.
class AbsentWeights : public WeightSource {
 public:
  bool contains(const std::string&) const override { return true; }
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) override;
};

}  // namespace moelora::nn
