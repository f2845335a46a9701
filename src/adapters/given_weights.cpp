#include "adapters/given_weights.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>

namespace moelora::adapters {

GivenWeights::GivenWeights(int64_t tasks, int64_t experts, int64_t rank)
    : columns_per_expert_(rank / experts), table_(at::zeros({tasks, experts}, at::kFloat).requires_grad_(true)) {}

at::Tensor GivenWeights::row_weights(const TaskRows& rows, const at::Tensor&) const {
  return at::index_select(table_.repeat_interleave(columns_per_expert_, /*dim=*/1), 0, rows.tasks());
}

at::Tensor GivenWeights::expert_weights(int64_t task) const {
  return table_.detach()[task].clone();
}

at::Tensor GivenWeights::task_weights(int64_t task) const {
  return expert_weights(task).repeat_interleave(columns_per_expert_);
}

at::Tensor GivenWeights::task_columns(int64_t task) const {
  return at::nonzero(task_weights(task)).flatten();
}

}  // namespace moelora::adapters
