// Linears of few rows, as decoding has them: each weight streams through once, and a row's bits don't depend on the
// others.
#pragma once

#include <ATen/core/Tensor.h>

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

/// y += x W, into y [T, out]; w [in, out]. x, w and y of one dtype, rows contiguous, T as takes_few_rows says. For a
/// small `in` (an adapter's rank), where the sums of few_rows_linear would be mostly within vectors. Sums in float32
/// (float64), in the order of `in`, y first.
void few_rows_add(const at::Tensor& x, const at::Tensor& w, const at::Tensor& y);

/// One of a group's linears: y = x W^T + bias, and u_i B^T more where it has an adapter.
struct FewRowsLinear {
  at::Tensor w;     // [out, in], rows contiguous
  at::Tensor bias;  // [out] or undefined
  at::Tensor b;     // [out, R], rows contiguous, or undefined; the linears with one are numbered, i = 0 to n - 1
};

/// Linears of the same x, with what their n adapters make of x first: u = scale (x A^T) ⊙ m. Checked once, and then
/// known by addresses: a pass over a model's weights leaves in no cache what describes them, and looking it up for each
/// product would take as long as a good part of the product.
class FewRowsGroup {
 public:
  /// a [n R, in], rows contiguous; undefined where no linear has an adapter. All of one dtype. None may lose its
  /// memory to another tensor later.
  explicit FewRowsGroup(std::vector<FewRowsLinear> linears, at::Tensor a = {}, double scale = 1);

  /// As takes_few_rows(x, w).
  bool takes(const at::Tensor& x) const;

  /// One y [T, out] for each linear, rounded once with its adapter's part; x A^T and u are rounded before. x [T, in]
  /// that it takes; m [T, n R], or [T, R] where all adapters have the same, float32 (float64), undefined: all 1. The
  /// threads are called together once for all. No autograd.
  std::vector<at::Tensor> multiply(const at::Tensor& x, const at::Tensor& m = {}) const;

 private:
  struct Linear {
    const void* w;
    const void* bias;
    const void* b;
    int64_t out, w_stride, b_stride;
    int64_t column;  // the first of its R of u
  };

  std::vector<Linear> linears_;
  const void* a_ = nullptr;
  int64_t a_stride_ = 0, in_ = 0, out_ = 0;  // out_: of all linears
  int64_t rank_ = 0, columns_ = 0;           // R, n R
  double scale_ = 1;
  at::ScalarType type_;
  std::vector<at::Tensor> kept_;  // whose memory the addresses are of

  template <class E>
  friend class FewRowsGroupPass;
};

}  // namespace moelora::kernels
