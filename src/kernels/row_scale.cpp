#include "kernels/row_scale.h"

#include <ATen/ops/empty_like.h>

#include "kernels/row_scale_row.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

void check(const at::Tensor& z, const at::Tensor& m, bool repeats) {
  const bool matrices = m.dim() == 2 && z.dim() == 2 && m.size(0) == z.size(0);
  const bool fits = matrices && (repeats ? m.size(1) > 0 && z.size(1) % m.size(1) == 0 : z.size(1) == m.size(1));
  require(fits && m.scalar_type() == compute_type(z), "row_scale", "m [T, R], float32, like z", m);
}

}  // namespace

at::Tensor row_scale(const at::Tensor& z, const at::Tensor& m, double factor) {
  check(z, m, /*repeats=*/true);
  const int64_t width = z.size(1), rank = m.size(1);
  if (!has_passes(z)) return z.to(m.scalar_type()).mul(m.repeat({1, width / rank}).mul(factor)).to(z.scalar_type());
  const at::Tensor from = z.contiguous(), weight = m.contiguous(), y = at::empty_like(from);
  with_element(z, [&]<class E>() {
    using C = Compute<E>;
    parallel_rows(z.size(0), width, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        row_scale_row<E>(elements<E>(from) + row * width, elements<C>(weight) + row * rank, static_cast<C>(factor),
                         mutable_elements<E>(y) + row * width, width, rank);
      }
    });
  });
  return y;
}

std::pair<at::Tensor, at::Tensor> row_scale_backward(const at::Tensor& dy, const at::Tensor& z, const at::Tensor& m) {
  check(z, m, /*repeats=*/false);
  require(dy.sizes() == z.sizes() && dy.scalar_type() == z.scalar_type(), "row_scale_backward", "dy like z", dy);
  if (!has_passes(z)) {
    const at::Tensor wide = dy.to(m.scalar_type());
    return {wide.mul(m).to(z.scalar_type()), wide.mul(z.to(m.scalar_type()))};
  }
  const at::Tensor d = dy.contiguous(), from = z.contiguous(), weight = m.contiguous();
  const at::Tensor dz = at::empty_like(from), dm = at::empty_like(weight);
  with_element(z, [&]<class E>() {
    using C = Compute<E>;
    parallel_rows(z.numel(), 1, [&](int64_t begin, int64_t end) {
      passes_for<E>().row_scale_backward(elements<E>(d) + begin, elements<E>(from) + begin, elements<C>(weight) + begin,
                                         mutable_elements<E>(dz) + begin, mutable_elements<C>(dm) + begin, end - begin);
    });
  });
  return {dz, dm};
}

}  // namespace moelora::kernels
