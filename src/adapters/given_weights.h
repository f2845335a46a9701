// Weights that no gate computes: a row of N numbers a task, found by a search or set. With it the methods that are made
// of runs become mixtures like any other, which evaluate, generate, collapse and export as all do. With the T adapters
// of single tasks (or groups of them), each of rank r, as the experts (N = T, R = T r), the table is
//
//   one LoRA a task      the identity
//   LoRAHub              the identity, over the T sums that its search found
//   Task-Arithmetic      one number everywhere
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "adapters/mixer.h"

namespace moelora::adapters {

class GivenWeights : public Mixer {
 public:
  /// R = `rank`, a multiple of `experts`. All weights are 0 until the table is filled.
  GivenWeights(int64_t tasks, int64_t experts, int64_t rank);

  at::Tensor row_weights(const TaskRows& rows, const at::Tensor&) const override;
  at::Tensor task_weights(int64_t task) const override;
  /// Those of the experts whose weight isn't 0: one LoRA a task keeps its own rank when it is exported.
  at::Tensor task_columns(int64_t task) const override;
  at::Tensor expert_weights(int64_t task) const override;
  /// "expert_weights" [tasks, N].
  std::vector<NamedTensor> parameters() const override { return {{kExpertWeights, table_}}; }

 private:
  int64_t columns_per_expert_;
  at::Tensor table_;  // [tasks, N] float32, a leaf
};

}  // namespace moelora::adapters
