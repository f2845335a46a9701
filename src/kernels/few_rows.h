// A linear of few rows, as decoding has it: the weight streams through once, and each row's bits don't depend on the
// others.
#pragma once

#include <ATen/core/Tensor.h>

namespace moelora::kernels {

/// Up to so many rows at once; from there on a matrix product reads the weight less often for its arithmetic.
constexpr int64_t kFewRows = 8;

/// True where `few_rows_linear` takes x and w: a CPU dtype with passes, at most kFewRows rows, dense rows, and no
/// gradient is wanted.
bool takes_few_rows(const at::Tensor& x, const at::Tensor& w);

/// y = x W^T + b. x [T, in] and w [out, in] of one dtype, rows contiguous, bias [out] or undefined; result [T, out].
/// Sums in float32 (float64 for float64), in an order that depends on `in` alone. No autograd.
at::Tensor few_rows_linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias);

/// y += x W, into y [T, out]; w [in, out]. x, w and y of one dtype, rows contiguous, T as takes_few_rows says. For a
/// small `in` (an adapter's rank), where the sums of few_rows_linear would be mostly within vectors. Sums in float32
/// (float64), in the order of `in`, y first.
void few_rows_add(const at::Tensor& x, const at::Tensor& w, const at::Tensor& y);

}  // namespace moelora::kernels
