// MoLoRA's gate (Zadouri et al., "Pushing Mixture of Experts to the Limit", arXiv 2309.05444): a row's experts are
// weighed by what the layer reads there, not by the task.
//
//   w = softmax(W x)      W [N, in], no bias, one for each adapted linear; U(±1/sqrt(in)) at the start; dense, in
//   float32
//
// m isn't a function of the task, so no LoRA equals it: it trains, resumes, evaluates and generates, but doesn't
// collapse.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "adapters/mixer.h"

namespace moelora::adapters {

class TokenGate : public Mixer {
 public:
  /// `in` is the width of the linear's input.
  TokenGate(GateOptions options, int64_t in);

  /// x [T, in] -> m [T, R], with a gradient to x.
  at::Tensor row_weights(const TaskRows& rows, const at::Tensor& x) const override;
  std::vector<NamedTensor> parameters() const override { return {{options_.name, gate_}}; }

  /// Throw Error (kModel).
  at::Tensor task_weights(int64_t task) const override;
  at::Tensor expert_weights(int64_t task) const override;

 private:
  GateOptions options_;
  at::Tensor gate_;  // W [N, in] float32, a leaf
};

/// Why a token gate has no weights of a task, and what to use instead: Error (kModel).
[[noreturn]] void throw_not_linear_in_the_task();

}  // namespace moelora::adapters
