// Causal attention over packed sequences, forward and backward, and its form for decoding from a key/value cache.
// Blocked, with the softmax fused between the products (online softmax: Milakov and Gimelshein 2018; backward by
// recomputation from the log-sum-exp: Dao et al., "FlashAttention", 2022). Scores, softmax and accumulation are float32
// (float64 for float64). Other devices and dtypes take a composite of ATen operators.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace moelora::kernels {

struct AttentionOptions {
  double scale = 1.0;  // multiplies q k^T, above 0; usually 1 / sqrt(D)
  double softcap = 0;  // > 0: scores become softcap * tanh(score / softcap)
  int64_t window = 0;  // > 0: a query sees only the last `window` positions, itself included
};

/// Block-diagonal causal attention. q [T, Hq, D], k and v [T, Hkv, D] of one dtype (rows may be strided), Hq a multiple
/// of Hkv: query head h reads key/value head h / (Hq / Hkv). cu_seqlens [S + 1]: 0 = first, ascending, T = last; empty
/// sequences allowed. Result [T, Hq, D], contiguous. Differentiable in q, k, v; saves them, the result and the
/// log-sum-exp [T, Hq]. For a given number of threads the bits don't depend on scheduling.
at::Tensor packed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            std::span<const int64_t> cu_seqlens, const AttentionOptions& options);

/// Attention for decoding, without gradient. q [T, Hq, D], the rows of S sequences packed by cu_seqlens_q [S + 1];
/// keys[s] and values[s] [len_s, Hkv, D] hold all positions of sequence s so far, the new ones included. The queries
/// are the LAST rows of their sequence (query i of n sits at position len_s - n + i), so n <= len_s. Result [T, Hq, D].
at::Tensor cached_attention(const at::Tensor& q, std::span<const int64_t> cu_seqlens_q,
                            std::span<const at::Tensor> keys, std::span<const at::Tensor> values,
                            const AttentionOptions& options);

}  // namespace moelora::kernels
