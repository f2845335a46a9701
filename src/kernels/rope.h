// Rotary position embedding, one pass; its backward is the inverse rotation.
#pragma once

#include <ATen/core/Tensor.h>

namespace moelora::kernels {

/// Which dimensions turn together.
enum class RopeLayout {
  kHalves,  // d and d + rot / 2 ("rotate_half": Llama, Qwen, Gemma, Phi)
  kPairs,   // 2 d and 2 d + 1 (GLM)
};

/// With (a, b) the two dimensions of pair d < rot / 2: y[a] = x[a] cos[d] - x[b] sin[d]; y[b] = x[b] cos[d] + x[a]
/// sin[d]; dimensions from rot on are copied. x [T, heads, D] (rows may be strided), cos and sin [T, rot / 2] float32
/// (or x's dtype where that is float64), already looked up by position; rot <= D. Result [T, heads, D], contiguous.
/// Differentiable in x only. The products are float32 and rounded once.
at::Tensor rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                RopeLayout layout = RopeLayout::kHalves);

}  // namespace moelora::kernels
