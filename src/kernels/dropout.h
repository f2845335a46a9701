// Dropout whose every draw is a pure function of (seed, sample, module, position, column): never of the packing, the
// thread count or the instruction set. The mask is recomputed in backward, not saved.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace moelora::kernels {

/// Names the draws of one dropout site. The draw for column c of a row is word (c % 64) / 16 of the Philox block with
///   key     {low(seed) ^ module * 0x9E3779B1, high(seed) ^ RandomStream::kDropout * 0x85EBCA6B}
///   counter {(c / 64) * 16 + c % 16, position, low(sample_key), high(sample_key)}
/// and the element is dropped where the draw is below p * 2^32. (64 columns share 16 blocks so that vectors need no
/// shuffling.)
struct DropoutKey {
  double p = 0;  // probability to drop, in [0, 1)
  uint64_t seed = 0;
  uint32_t module = 0;  // which dropout site of the model
};

/// x * mask / (1 - p). x [T, C]; sample_key, position [T] int64 on the CPU: what names the row's draws. p = 0 returns x
/// itself. Differentiable in x; the backward applies the same mask to the gradient.
at::Tensor counter_dropout(const at::Tensor& x, const DropoutKey& key, const at::Tensor& sample_key,
                           const at::Tensor& position);

/// The same without autograd, into a new tensor, for a caller's own Function: it is its own backward.
at::Tensor counter_dropout_raw(const at::Tensor& x, const DropoutKey& key, const at::Tensor& sample_key,
                               const at::Tensor& position);

/// What such a Function's backward needs, from one draw: counter_dropout_raw(x), and dx += counter_dropout_raw(dy). dy
/// and dx [T, C] of x's dtype, dx contiguous.
at::Tensor counter_dropout_backward(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& dx,
                                    const DropoutKey& key, const at::Tensor& sample_key, const at::Tensor& position);

}  // namespace moelora::kernels
