// Rotary position embedding in the half-split ("rotate_half") layout, one pass; its backward is the inverse rotation.
#pragma once

#include <ATen/core/Tensor.h>

namespace moelora::kernels {

/// With h = rot / 2 and d < h: y[d] = x[d] cos[d] - x[d + h] sin[d]; y[d + h] = x[d + h] cos[d] + x[d] sin[d];
/// dimensions from rot on are copied. x [T, heads, D] (rows may be strided), cos and sin [T, rot / 2] float32 (or x's
/// dtype where that is float64), already looked up by position; rot <= D. Result [T, heads, D], contiguous.
/// Differentiable in x only. The products are float32 and rounded once.
at::Tensor rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace moelora::kernels
