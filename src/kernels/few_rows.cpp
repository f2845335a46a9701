#include "kernels/few_rows.h"

#include <ATen/ops/empty.h>

#include "kernels/tensor_args.h"

namespace moelora::kernels {

bool takes_few_rows(const at::Tensor& x, const at::Tensor& w) {
  return has_passes(x) && x.dim() == 2 && x.size(0) <= kFewRows && x.scalar_type() == w.scalar_type() &&
         x.stride(1) == 1 && w.stride(1) == 1 && !wants_gradient({&x, &w});
}

at::Tensor few_rows_linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  require(takes_few_rows(x, w), "few_rows_linear", "x [T <= 8, in]", x);
  require(w.dim() == 2 && w.size(1) == x.size(1), "few_rows_linear", "w [out, in]", w);
  require(!bias.defined() || (bias.is_contiguous() && bias.numel() == w.size(0)), "few_rows_linear", "bias [out]",
          bias);
  const at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options());
  with_element(x, [&]<class E>() {
    parallel_rows(w.size(0), w.size(1), [&](int64_t begin, int64_t end) {
      const FewRowsTerm<E> product{elements<E>(x), x.stride(0), elements<E>(w) + begin * w.stride(0), w.stride(0),
                                   w.size(1)};
      passes_for<E>().few_rows(product, {}, x.size(0), bias.defined() ? elements<E>(bias) + begin : nullptr,
                               mutable_elements<E>(y) + begin, y.stride(0), end - begin);
    });
  });
  return y;
}

void few_rows_add(const at::Tensor& x, const at::Tensor& w, const at::Tensor& y) {
  require(takes_few_rows(x, x), "few_rows_add", "x [T <= 8, in]", x);
  require(w.dim() == 2 && w.size(0) == x.size(1) && w.scalar_type() == x.scalar_type() &&
              (w.stride(1) == 1 || w.size(1) == 1),
          "few_rows_add", "w [in, out]", w);
  require(y.dim() == 2 && y.size(0) == x.size(0) && y.size(1) == w.size(1) && y.stride(1) == 1 &&
              y.scalar_type() == x.scalar_type(),
          "few_rows_add", "y [T, out]", y);
  with_element(x, [&]<class E>() {
    parallel_rows(w.size(1), w.size(0), [&](int64_t begin, int64_t end) {
      passes_for<E>().few_rows_add(elements<E>(x), x.stride(0), x.size(0), elements<E>(w) + begin, w.stride(0),
                                   x.size(1), mutable_elements<E>(y) + begin, y.stride(0), end - begin);
    });
  });
}

}  // namespace moelora::kernels
