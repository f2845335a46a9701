// Trading time for memory: a segment of the forward pass keeps only its inputs and runs again in backward.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "nn/row_context.h"

namespace moelora::nn {

/// What a decoder layer computes again in backward instead of keeping it.
enum class Recompute {
  kNone,
  kMlp,   // all of the MLP behind its norm: about two thirds of what a layer keeps
  kFull,  // the whole layer, but for its input
};

using Segment = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// segment(inputs), differentiable in the inputs (all defined) and in every leaf the segment reads. At least
/// one of them must require a gradient for backward to reach the segment; leaves' gradients are accumulated while it
/// runs again. What the segment captures must stay alive until backward, and its draws must repeat.
std::vector<at::Tensor> recompute(const Segment& segment, const std::vector<at::Tensor>& inputs);

/// The same of a segment that reads rows' context too: `context` (may be null) is handed to it with its
/// differentiable tensors as inputs of the segment, so that their gradients aren't lost.
using ContextSegment = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&, const RowContext*)>;
std::vector<at::Tensor> recompute(const ContextSegment& segment, const std::vector<at::Tensor>& inputs,
                                  const RowContext* context);

}  // namespace moelora::nn
