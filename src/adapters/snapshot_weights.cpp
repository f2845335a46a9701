#include "adapters/snapshot_weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

namespace moelora::adapters {

SnapshotWeights::SnapshotWeights(SnapshotOptions options) : options_(std::move(options)) {
  const auto tasks = static_cast<int64_t>(options_.snapshots.size());
  own_ = at::zeros({tasks, std::ranges::max(options_.snapshots) + 1, 1}, at::kFloat);
  for (int64_t task = 0; task < tasks; ++task) own_[task][options_.snapshots[task]].fill_(1);
  table_ = at::zeros({tasks, options_.experts}, at::kFloat).requires_grad_(true);
}

at::Tensor SnapshotWeights::table() const {
  const at::Tensor columns = table_.repeat_interleave(options_.rank / options_.experts, /*dim=*/1);  // [tasks, r]
  return own_.mul(columns.unsqueeze(1)).flatten(1);
}

at::Tensor SnapshotWeights::row_weights(const TaskRows& rows, const at::Tensor&) const {
  return at::index_select(table(), 0, rows.tasks());
}

at::Tensor SnapshotWeights::expert_weights(int64_t task) const {
  return table_.detach()[task].clone();
}

at::Tensor SnapshotWeights::task_weights(int64_t task) const {
  const at::NoGradGuard no_grad;
  return table()[task].clone();
}

at::Tensor SnapshotWeights::task_columns(int64_t task) const {
  const int64_t first = options_.snapshots[task] * options_.rank;
  return at::arange(first, first + options_.rank, at::kLong);
}

}  // namespace moelora::adapters
