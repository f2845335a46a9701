// Which keys and values a query sees: the sequences of a packed batch (training), or a key/value cache (generation).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/attention.h"

namespace moelora::nn {

class AttentionState {
 public:
  virtual ~AttentionState() = default;

  /// q [T, heads, head_dim], k and v [T, kv_heads, head_dim], already rotated, of layer `layer` -> [T, heads,
  /// head_dim].
  virtual at::Tensor attend(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const kernels::AttentionOptions& options) = 0;
};

/// Block-diagonal and causal over the sequences of one packed batch; differentiable.
class PackedAttention : public AttentionState {
 public:
  /// cu_seqlens [S + 1], from 0 to T.
  explicit PackedAttention(std::vector<int64_t> cu_seqlens) : cu_seqlens_(std::move(cu_seqlens)) {}

  at::Tensor attend(int64_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const kernels::AttentionOptions& options) override {
    return kernels::packed_attention(q, k, v, cu_seqlens_, options);
  }

 private:
  std::vector<int64_t> cu_seqlens_;
};

}  // namespace moelora::nn
