// What the adapters need to know of each row of a packed batch: its task, the gate's weights, and the names of its
// dropout draws.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "nn/row_context.h"

namespace moelora::adapters {

/// The samples of a packed batch as the adapters see them.
struct PackedTasks {
  std::span<const int64_t> cu_seqlens;   // [S + 1]
  std::span<const int64_t> tasks;        // [S], index of each sample's task
  std::span<const int64_t> sample_keys;  // [S], or empty: no dropout
  std::span<const int64_t> positions;    // [T], or empty: no dropout
};

class TaskRows : public nn::RowContext {
 public:
  explicit TaskRows(const PackedTasks& packed);

  const at::Tensor& tasks() const { return tasks_; }              // [T] int64
  const at::Tensor& sample_keys() const { return sample_keys_; }  // [T] int64, undefined: no dropout
  const at::Tensor& positions() const { return positions_; }      // [T] int64, undefined: no dropout

  /// [T, R] float32, the weights of a gate that all layers share, computed once a batch; undefined where there is none.
  const at::Tensor& shared_weights() const { return shared_weights_; }
  void set_shared_weights(at::Tensor weights) { shared_weights_ = std::move(weights); }

  std::vector<at::Tensor> differentiable() const override;
  std::unique_ptr<nn::RowContext> with(const std::vector<at::Tensor>& replacements) const override;
  std::unique_ptr<nn::RowContext> select(const at::Tensor& rows) const override;

 private:
  at::Tensor tasks_;
  at::Tensor sample_keys_;
  at::Tensor positions_;
  at::Tensor shared_weights_;
};

}  // namespace moelora::adapters
