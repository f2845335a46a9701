// Weighted cross-entropy of the language-model head on supervised rows, in one sweep over chunks of rows: each chunk's
// logits are computed, turned into loss and gradient, and dropped; the full [K, V] logits never exist.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace moelora::kernels {

struct CrossEntropyOptions {
  double softcap = 0;              // > 0: logits become softcap * tanh(logit / softcap)
  int64_t chunk_bytes = 96 << 20;  // bound on one chunk's logits; more rows a chunk read the head less often
};

struct SupervisedLoss {
  at::Tensor loss;      // scalar float32: sum_k weights[k] * nll[k]; differentiable in hidden and head
  at::Tensor row_loss;  // [K] float32: nll[k], unweighted, detached
};

/// nll[k] = logsumexp(head hidden[k]) - (head hidden[k])[targets[k]]. hidden [K, H] and head [V, H] of one dtype,
/// targets [K] int64 in [0, V), weights [K] float32. Both gradients are computed during the forward sweep, where asked
/// for (head's only where it requires one; it is accumulated in float32), and scaled by the incoming gradient in
/// backward. K = 0 gives loss 0. float64 input gives float64 losses. Throws Error (data) naming the row on a target
/// outside the vocabulary.
SupervisedLoss supervised_cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                                        const at::Tensor& weights, const CrossEntropyOptions& options = {});

}  // namespace moelora::kernels
