#include "kernels/int8.h"

#include <ATen/ops/_int_mm.h>
#include <ATen/ops/empty.h>

#include "kernels/few_rows.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

/// f.template operator()<E>() with the element type of x: float32 or bfloat16.
template <class F>
void with_int8_element(const at::Tensor& x, const char* kernel, const F& f) {
  require(x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16), kernel,
          "float32 or bfloat16 on the CPU", x);
  if (x.scalar_type() == at::kBFloat16) {
    f.template operator()<Bf16>();
  } else {
    f.template operator()<float>();
  }
}

/// Sums of products [T, out] int32, exact: few rows by our own pass, more by ATen's product.
at::Tensor sums_of_products(const at::Tensor& x, const Int8Rows& w) {
  const int64_t rows = x.size(0), in = x.size(1), out = w.values.size(0);
  if (rows > kFewRows) {  // the transpose of a single column would be taken for a row of other strides
    return at::_int_mm(x, in == 1 ? w.values.reshape({1, out}) : w.values.t());
  }
  const at::Tensor sums = at::empty({rows, out}, at::kInt);
  at::parallel_for(0, out, 64, [&](int64_t begin, int64_t end) {
    passes().int8_few_rows(x.const_data_ptr<int8_t>(), rows, w.values.const_data_ptr<int8_t>() + begin * in,
                           w.sums.const_data_ptr<int32_t>() + begin, in, sums.mutable_data_ptr<int32_t>() + begin, out,
                           end - begin);
  });
  return sums;
}

/// y = sums * row_scales * column_scales + bias, or y += that.
void scale(const at::Tensor& sums, const at::Tensor& row_scales, const at::Tensor& column_scales,
           const at::Tensor& bias, const at::Tensor& y, bool add) {
  const int64_t width = sums.size(1);
  with_int8_element(y, "int8 product", [&]<class E>() {
    parallel_rows(sums.size(0), width, [&](int64_t begin, int64_t end) {
      int8_passes_for<E>().scale_sums(sums.const_data_ptr<int32_t>() + begin * width,
                                      row_scales.const_data_ptr<float>() + begin, elements<float>(column_scales),
                                      elements<E>(bias), mutable_elements<E>(y) + begin * y.stride(0), y.stride(0),
                                      end - begin, width, add);
    });
  });
}

}  // namespace

Int8Rows quantize_rows(const at::Tensor& x, const at::Tensor& column_scales) {
  require(x.dim() == 2 && x.stride(1) == 1, "quantize_rows", "x [rows, width], dense rows", x);
  require(!column_scales.defined() || (column_scales.is_contiguous() && column_scales.numel() == x.size(1)),
          "quantize_rows", "column_scales [width]", column_scales);
  const int64_t rows = x.size(0), width = x.size(1);
  Int8Rows result{.values = at::empty({rows, width}, at::kChar), .scales = at::empty({rows}, at::kFloat)};
  with_int8_element(x, "quantize_rows", [&]<class E>() {
    parallel_rows(rows, width, [&](int64_t begin, int64_t end) {
      int8_passes_for<E>().quantize_rows(elements<E>(x) + begin * x.stride(0), x.stride(0),
                                         elements<float>(column_scales),
                                         result.values.mutable_data_ptr<int8_t>() + begin * width,
                                         result.scales.mutable_data_ptr<float>() + begin, end - begin, width);
    });
  });
  return result;
}

Int8Rows quantize_weight(const at::Tensor& weight) {
  Int8Rows rows = quantize_rows(weight.contiguous());
  rows.sums = rows.values.sum(/*dim=*/1, /*keepdim=*/false, at::kInt);
  return rows;
}

at::Tensor dequantize(const Int8Rows& rows, at::ScalarType dtype) {
  return rows.values.to(at::kFloat).mul(rows.scales.unsqueeze(1)).to(dtype);
}

at::Tensor int8_linear(const at::Tensor& x, const Int8Rows& w, const at::Tensor& bias) {
  require(x.dim() == 2 && x.size(1) == w.values.size(1), "int8_linear", "x [T, in]", x);
  require(!bias.defined() || (bias.is_contiguous() && bias.numel() == w.values.size(0)), "int8_linear", "bias [out]",
          bias);
  const at::Tensor y = at::empty({x.size(0), w.values.size(0)}, x.options());
  const Int8Rows rows = quantize_rows(x);
  scale(sums_of_products(rows.values, w), rows.scales, w.scales, bias, y, /*add=*/false);
  return y;
}

void int8_accumulate_input_gradient(const at::Tensor& dy, const Int8Rows& w, at::Tensor& dx) {
  require(dy.dim() == 2 && dy.size(1) == w.values.size(0), "int8_accumulate_input_gradient", "dy [T, out]", dy);
  const bool add = dx.defined();
  if (!add) dx = at::empty({dy.size(0), w.values.size(1)}, dy.options());
  require(dx.dim() == 2 && dx.size(1) == w.values.size(1) && dx.stride(1) == 1, "int8_accumulate_input_gradient",
          "dx [T, in]", dx);
  const Int8Rows rows = quantize_rows(dy, w.scales);
  scale(at::_int_mm(rows.values, w.values), rows.scales, {}, {}, dx, add);
}

}  // namespace moelora::kernels
