#include "kernels/int8.h"

#include <ATen/ops/mm.h>

#include <cmath>
#include <limits>

#include "kernels/levels.h"
#include "support/gradcheck.h"

namespace moelora::kernels {
namespace {

using test::max_difference;
using test::next_random_tensor;

/// Room for rounding of results to `type`, relative to their size.
double rounding(at::ScalarType type) {
  return type == at::kBFloat16 ? 1.0 / 256 : 1e-6;
}

class Int8 : public EveryLevel {};

TEST_P(Int8, ValuesAreWithinHalfAStep) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t width : {1, 5, 16, 63, 64, 200}) {
      const at::Tensor x = next_random_tensor({9, width}, type),
                       columns = next_random_tensor({width}, at::kFloat).abs();
      for (const at::Tensor& factors : {at::Tensor(), columns}) {
        const Int8Rows rows = quantize_rows(x, factors);
        const at::Tensor exact = factors.defined() ? x.to(at::kDouble).mul(factors.to(at::kDouble)) : x.to(at::kDouble);
        const at::Tensor steps = rows.scales.to(at::kDouble).unsqueeze(1);
        const at::Tensor off = rows.values.to(at::kDouble).mul(steps).sub(exact).abs();
        EXPECT_LE(off.div(steps).max().item<double>(), 0.5 + 1e-4) << width;
        EXPECT_TRUE(rows.values.abs().amax(1).eq(127).all().item<bool>()) << "the largest magnitude is 127 steps";
      }
    }
  }
}

TEST_P(Int8, RowsOfZerosAndOfNoNumbers) {
  at::Tensor x = next_random_tensor({4, 40}, at::kFloat);
  x[0].zero_();
  x[1][7] = std::numeric_limits<float>::quiet_NaN();
  x[2][39] = std::numeric_limits<float>::infinity();
  const Int8Rows w = quantize_weight(next_random_tensor({6, 40}, at::kFloat));
  const at::Tensor y = int8_linear(x, w, {});
  EXPECT_EQ(y[0].abs().max().item<double>(), 0);
  EXPECT_TRUE(y[1].isnan().all().item<bool>());
  EXPECT_TRUE(y[2].isnan().all().item<bool>());
  EXPECT_TRUE(y[3].isfinite().all().item<bool>());
}

TEST_P(Int8, ProductsAreExactInWholeNumbers) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {0, 1, 3, 8, 9, 40}) {
      for (const int64_t in : {1, 31, 64, 65, 200}) {
        for (const int64_t out : {1, 5, 130}) {
          const at::Tensor x = next_random_tensor({rows, in}, type), bias = next_random_tensor({out}, type);
          const Int8Rows w = quantize_weight(next_random_tensor({out, in}, type)), q = quantize_rows(x);
          const at::Tensor whole = at::mm(q.values.to(at::kDouble), w.values.to(at::kDouble).t());
          const at::Tensor product =
              whole.mul(q.scales.to(at::kDouble).unsqueeze(1)).mul(w.scales.to(at::kDouble).unsqueeze(0));
          const at::Tensor expected = product.add(bias.to(at::kDouble));
          const double size = rows > 0 ? 1 + expected.abs().max().item<double>() : 1;
          EXPECT_LE(max_difference(int8_linear(x, w, bias), expected), rounding(type) * size)
              << rows << " " << in << " " << out;
        }
      }
    }
  }
}

TEST_P(Int8, ARowsBitsDontDependOnTheOthers) {
  const at::Tensor x = next_random_tensor({30, 96}, at::kBFloat16);
  const Int8Rows w = quantize_weight(next_random_tensor({50, 96}, at::kBFloat16));
  const at::Tensor together = int8_linear(x, w, {});
  for (const int64_t begin : {0, 7, 29}) {
    EXPECT_TRUE(int8_linear(x.narrow(0, begin, 1), w, {}).equal(together.narrow(0, begin, 1))) << begin;
  }
}

TEST_P(Int8, InputGradientIsTheTransposedProduct) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {0, 1, 17}) {
      const Int8Rows w = quantize_weight(next_random_tensor({70, 33}, type));
      const at::Tensor dy = next_random_tensor({rows, 70}, type);
      const Int8Rows q = quantize_rows(dy, w.scales);
      const at::Tensor expected =
          at::mm(q.values.to(at::kDouble), w.values.to(at::kDouble)).mul(q.scales.to(at::kDouble).unsqueeze(1));
      const double size = rows > 0 ? 1 + expected.abs().max().item<double>() : 1;
      at::Tensor dx;
      int8_accumulate_input_gradient(dy, w, dx);
      EXPECT_LE(max_difference(dx, expected), rounding(type) * size);
      int8_accumulate_input_gradient(dy, w, dx);
      EXPECT_LE(max_difference(dx, expected.mul(2)), 3 * rounding(type) * size);
      if (rows > 0) {  // near the product without rounding
        const at::Tensor smooth = at::mm(dy.to(at::kDouble), dequantize(w, at::kDouble));
        EXPECT_LE(max_difference(expected, smooth), 0.05 * smooth.abs().max().item<double>());
      }
    }
  }
}

TEST_P(Int8, TakesRowsThatAreStrided) {
  const at::Tensor wide = next_random_tensor({12, 96}, at::kBFloat16), part = wide.narrow(1, 32, 32);
  const Int8Rows w = quantize_weight(next_random_tensor({20, 32}, at::kBFloat16));
  EXPECT_TRUE(int8_linear(part, w, {}).equal(int8_linear(part.contiguous(), w, {})));
}

MOELORA_EVERY_LEVEL(Int8);

}  // namespace
}  // namespace moelora::kernels
