// A linear of few rows, as decoding has it: the weight streams through once, and each row's bits don't depend on the
// others.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

namespace moelora::kernels {

/// Up to so many rows at once; from there on a matrix product reads the weight less often for its arithmetic.
constexpr int64_t kFewRows = 8;

/// True where `few_rows_linear` takes x and w: a CPU dtype with passes, at most kFewRows rows, dense rows, and no
/// gradient is wanted.
bool takes_few_rows(const at::Tensor& x, const at::Tensor& w);

/// y = x W^T + b. x [T, in] and w [out, in] of one dtype, rows contiguous, bias [out] or undefined; result [T, out].
/// Sums in float32 (float64 for float64), in an order that depends on `in` alone. No autograd.
at::Tensor few_rows_linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias);

/// One of several linears of the same x, with or without an adapter: x W^T + u B^T + bias.
struct FewRowsLinear {
  at::Tensor w;     // [out, in], rows contiguous
  at::Tensor bias;  // [out] or undefined
  at::Tensor u;     // [T, R] or undefined: what the adapter's first product made of x, weighed
  at::Tensor b;     // [out, R] where u is defined, rows contiguous
};

/// One y [T, out] for each, as few_rows_linear, rounded once with its adapter's part; all are shared among the threads
/// at once. No autograd.
std::vector<at::Tensor> few_rows_linears(const at::Tensor& x, std::span<const FewRowsLinear> linears);

/// y += x W, into y [T, out]; w [in, out]. x, w and y of one dtype, rows contiguous, T as takes_few_rows says. For a
/// small `in` (an adapter's rank), where the sums of few_rows_linear would be mostly within vectors. Sums in float32
/// (float64), in the order of `in`, y first.
void few_rows_add(const at::Tensor& x, const at::Tensor& w, const at::Tensor& y);

}  // namespace moelora::kernels
