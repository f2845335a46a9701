#include "adapters/task_rows.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>

namespace moelora::adapters {
namespace {

/// [S] values, one a sample -> [T], one a row.
at::Tensor spread(std::span<const int64_t> values, std::span<const int64_t> cu_seqlens) {
  at::Tensor rows = at::empty({cu_seqlens.back()}, at::kLong);
  int64_t* out = rows.data_ptr<int64_t>();
  for (size_t s = 0; s < values.size(); ++s) std::fill(out + cu_seqlens[s], out + cu_seqlens[s + 1], values[s]);
  return rows;
}

}  // namespace

TaskRows::TaskRows(const PackedTasks& packed) : tasks_(spread(packed.tasks, packed.cu_seqlens)) {
  if (packed.sample_keys.empty()) return;
  sample_keys_ = spread(packed.sample_keys, packed.cu_seqlens);
  positions_ = at::empty({static_cast<int64_t>(packed.positions.size())}, at::kLong);
  std::ranges::copy(packed.positions, positions_.data_ptr<int64_t>());
}

std::vector<at::Tensor> TaskRows::differentiable() const {
  return shared_weights_.defined() ? std::vector<at::Tensor>{shared_weights_} : std::vector<at::Tensor>{};
}

std::unique_ptr<nn::RowContext> TaskRows::with(const std::vector<at::Tensor>& replacements) const {
  auto copy = std::make_unique<TaskRows>(*this);
  if (!replacements.empty()) copy->shared_weights_ = replacements.front();
  return copy;
}

std::unique_ptr<nn::RowContext> TaskRows::select(const at::Tensor& rows) const {
  auto copy = std::make_unique<TaskRows>(*this);
  for (at::Tensor* values : {&copy->tasks_, &copy->sample_keys_, &copy->positions_, &copy->shared_weights_}) {
    if (values->defined()) *values = at::index_select(*values, 0, rows);
  }
  return copy;
}

}  // namespace moelora::adapters
