// The mixing of stacked experts: each rank column of each row times its weight. Raw passes, for a caller's own
// Function.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace moelora::kernels {

/// z * m * factor, rounded once to z's dtype. z [T, n R], m [T, R] float32 (or float64 with float64 z), repeated for
/// each of the n. No autograd.
at::Tensor row_scale(const at::Tensor& z, const at::Tensor& m, double factor);

/// Backward of row_scale with n and factor 1, from dy [T, R] (z's dtype): {dz = dy * m in z's dtype, dm = dy * z in m's
/// dtype}, one pass. No autograd.
std::pair<at::Tensor, at::Tensor> row_scale_backward(const at::Tensor& dy, const at::Tensor& z, const at::Tensor& m);

}  // namespace moelora::kernels
