// Products with a thin matrix, as an adapter has them: its rank is small beside the widths it stands between, so that
// what they cost is reading the wide operand, which these read once.
#pragma once

#include <ATen/core/Tensor.h>

namespace moelora::kernels {

/// x w^T: x [T, K], w [n, K] of one dtype, n a rank or a few of them -> [T, n] in that dtype. Summed in float32. No
/// autograd.
at::Tensor thin_project(const at::Tensor& x, const at::Tensor& w);

/// u^T x: u [T, n], x [T, K] of one dtype -> [n, K], summed and returned in float32 (float64 for float64). No autograd.
at::Tensor thin_gradient(const at::Tensor& u, const at::Tensor& x);

/// What a LoRA's backward takes from its output gradient, in one pass over it: du = dy b^T, written into du [T, r], and
/// dy^T u [out, r] in float32 (float64). dy [T, out], b [r, out], u [T, r] and du of one dtype. No autograd.
at::Tensor thin_gradients(const at::Tensor& dy, const at::Tensor& b, const at::Tensor& u, const at::Tensor& du);

}  // namespace moelora::kernels
