// Root-mean-square normalisation, alone or fused with the residual addition before it: one pass forward, one backward.
// Statistics are float32 (float64 for float64 input). For bf16 the normalised value is rounded to bf16 before the
// weight multiplies it, as the Llama and Qwen families' published modelling code does; with a unit offset the product
// is rounded once, as Gemma's does. Other devices and dtypes take a composite of ATen operators with the same result.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace moelora::kernels {

struct NormOptions {
  double epsilon;
  bool unit_offset = false;  // multiply by 1 + weight
};

/// y = x / sqrt(mean(x^2) + epsilon) * weight over the last dimension. x [..., H], weight [H] of x's dtype; result
/// [..., H]. Differentiable in x and weight; nothing is saved in no-grad mode.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, const NormOptions& options);

/// {rms_norm(x + residual, weight, options), x + residual}. x, residual [..., H] of one dtype, weight [H].
/// The sum is rounded to x's dtype before it is normalised (it is the next residual).
std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, const NormOptions& options);

}  // namespace moelora::kernels
