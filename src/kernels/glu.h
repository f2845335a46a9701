// The gated activations of the MLP (Shazeer, "GLU Variants Improve Transformer", 2020): activation(gate) * up, one pass
// forward, one backward.
#pragma once

#include <ATen/core/Tensor.h>

namespace moelora::kernels {

/// silu(gate) * up, silu(g) = g / (1 + exp(-g)). gate, up [T, I] of one dtype (rows may be strided: halves of one
/// product); result [T, I], contiguous. Saves gate and up, and nothing in no-grad mode. Float32 inside, rounded once.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);

/// gelu(gate) * up, gelu(g) = g / 2 * (1 + tanh(sqrt(2 / pi) * (g + 0.044715 g^3))). Otherwise as swiglu.
at::Tensor geglu(const at::Tensor& gate, const at::Tensor& up);

}  // namespace moelora::kernels
