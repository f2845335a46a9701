// Trading time for memory: a segment of the forward pass keeps only its inputs and runs again in backward.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace moelora::nn {

using Segment = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// segment(inputs), differentiable in the inputs (all defined) and in every leaf the segment reads. At least
/// one of them must require a gradient for backward to reach the segment; leaves' gradients are accumulated while it
/// runs again. What the segment captures must stay alive until backward, and its draws must repeat.
std::vector<at::Tensor> recompute(const Segment& segment, const std::vector<at::Tensor>& inputs);

}  // namespace moelora::nn
