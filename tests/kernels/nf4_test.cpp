#include "kernels/nf4.h"

#include <ATen/ops/full.h>

#include <limits>

#include "core/error.h"
#include "kernels/few_rows.h"
#include "kernels/levels.h"
#include "support/gradcheck.h"

namespace moelora::kernels {
namespace {

using test::next_random_tensor;

class Nf4 : public EveryLevel {};

TEST_P(Nf4, EveryNumberIsWithinHalfTheWidestGap) {
  for (const int64_t in : {1, 7, 64, 90, 200}) {
    const at::Tensor weight = next_random_tensor({13, in}, at::kFloat);
    const at::Tensor again = dequantize(quantize_nf4(weight, "w"), at::kFloat);
    // The widest gap between levels is 0.304 of a block's largest magnitude, which quantised scales move by 1 %.
    EXPECT_LE(again.sub(weight).abs().max().item<double>(), 0.17 * weight.abs().max().item<double>());
    const double off = again.sub(weight).norm().item<double>() / weight.norm().item<double>();
    EXPECT_LT(off, 0.12) << in;
  }
}

TEST_P(Nf4, EveryLevelGivesTheSameBits) {
  const Nf4Weight weight = quantize_nf4(next_random_tensor({33, 90}, at::kFloat), "w");
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor here = dequantize(weight, type);
    const CpuLevel level = cpu_level();
    set_cpu_level(CpuLevel::kDefault);
    EXPECT_TRUE(dequantize(weight, type).equal(here));
    set_cpu_level(level);
  }
}

TEST_P(Nf4, FewRowsAreThoseOfTheWholeWeight) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {0, 1, 8}) {
      for (const int64_t in : {64, 90, 320}) {
        const Nf4Weight weight = quantize_nf4(next_random_tensor({37, in}, type), "w");
        const at::Tensor x = next_random_tensor({rows, in}, type), bias = next_random_tensor({37}, type);
        EXPECT_TRUE(nf4_few_rows_linear(x, weight, bias).equal(few_rows_linear(x, dequantize(weight, type), bias)));
      }
    }
  }
}

TEST_P(Nf4, ZerosStayZeros) {
  const at::Tensor zeros = at::full({4, 64}, 0.0, at::kFloat);
  EXPECT_EQ(dequantize(quantize_nf4(zeros, "w"), at::kFloat).abs().max().item<double>(), 0);
}

TEST_P(Nf4, NumbersThatArentFiniteAreRefused) {
  at::Tensor weight = next_random_tensor({4, 64}, at::kFloat);
  weight[2][3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(quantize_nf4(weight, "w"), Error);
  weight[2][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(quantize_nf4(weight, "w"), Error);
}

MOELORA_EVERY_LEVEL(Nf4);

}  // namespace
}  // namespace moelora::kernels
