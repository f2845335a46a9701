#include "kernels/row_scale.h"

#include <ATen/ops/empty_like.h>

#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

void check(const at::Tensor& z, const at::Tensor& m) {
  require(m.sizes() == z.sizes() && m.scalar_type() == compute_type(z), "row_scale", "m [T, R], float32, like z", m);
}

}  // namespace

at::Tensor row_scale(const at::Tensor& z, const at::Tensor& m) {
  check(z, m);
  if (!has_passes(z)) return z.to(m.scalar_type()).mul(m).to(z.scalar_type());
  const at::Tensor from = z.contiguous(), weight = m.contiguous(), y = at::empty_like(from);
  with_element(z, [&]<class E>() {
    parallel_rows(z.numel(), 1, [&](int64_t begin, int64_t end) {
      passes_for<E>().row_scale_forward(elements<E>(from) + begin, elements<Compute<E>>(weight) + begin,
                                        mutable_elements<E>(y) + begin, end - begin);
    });
  });
  return y;
}

std::pair<at::Tensor, at::Tensor> row_scale_backward(const at::Tensor& dy, const at::Tensor& z, const at::Tensor& m) {
  check(z, m);
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
