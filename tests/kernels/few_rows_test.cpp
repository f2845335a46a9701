#include "kernels/few_rows.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "kernels/levels.h"
#include "support/gradcheck.h"

namespace moelora::kernels {
namespace {

using test::max_difference;
using test::next_random_tensor;

class FewRows : public EveryLevel {};

double tolerance(at::ScalarType type) {
  return type == at::kBFloat16 ? 2e-2 : type == at::kFloat ? 1e-4 : 1e-12;
}

TEST_P(FewRows, EqualsTheProductInFloat64) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const int64_t rows : {0, 1, 2, 3, 5, 8}) {
      for (const int64_t in : {1, 7, 16, 33, 64, 200}) {
        for (const int64_t out : {1, 3, 4, 130}) {
          const at::Tensor x = next_random_tensor({rows, in}, type), w = next_random_tensor({out, in}, type),
                           b = next_random_tensor({out}, type);
          const at::Tensor expected = at::linear(x.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble));
          const double scale = 1 + std::sqrt(static_cast<double>(in));
          EXPECT_LE(max_difference(few_rows_linear(x, w, b), expected), tolerance(type) * scale)
              << rows << " " << in << " " << out;
          const at::Tensor y = few_rows_linear(x, w, {});
          few_rows_add(x, w.t().contiguous(), y);
          EXPECT_LE(max_difference(y, expected.sub(b.to(at::kDouble)).mul(2)), 2 * tolerance(type) * scale);
        }
      }
    }
  }
}

TEST_P(FewRows, ARowsBitsDontDependOnTheOthers) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = next_random_tensor({8, 77}, type), w = next_random_tensor({50, 77}, type);
    const at::Tensor together = few_rows_linear(x, w, {});
    for (int64_t row = 0; row < 8; ++row) {
      EXPECT_TRUE(few_rows_linear(x.narrow(0, row, 1), w, {}).equal(together.narrow(0, row, 1))) << row;
    }
    const at::Tensor added = at::zeros({8, 50}, type), columns = w.t().contiguous();
    few_rows_add(x, columns, added);
    for (int64_t row = 0; row < 8; ++row) {
      const at::Tensor alone = at::zeros({1, 50}, type);
      few_rows_add(x.narrow(0, row, 1), columns, alone);
      EXPECT_TRUE(alone.equal(added.narrow(0, row, 1))) << row;
    }
  }
}

TEST_P(FewRows, LinearsOfAGroupEqualTheirProductsWithAndWithoutAdapters) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const int64_t rows : {0, 1, 3, 8}) {
      for (const int64_t in : {1, 40, 200}) {
        for (const int64_t rank : {1, 16, 33}) {
          const at::Tensor x = next_random_tensor({rows, in}, type), wide = next_random_tensor({rows, 2 * rank}, type);
          std::vector<FewRowsLinear> linears = {
              {.w = next_random_tensor({130, in}, type), .bias = next_random_tensor({130}, type)},
              {.w = next_random_tensor({1, in}, type),
               .bias = {},
               .u = wide.narrow(1, rank, rank),
               .b = next_random_tensor({1, rank}, type)},
              {.w = next_random_tensor({67, in}, type),
               .bias = next_random_tensor({67}, type),
               .u = wide.narrow(1, 0, rank),
               .b = next_random_tensor({67, rank}, type)}};
          const std::vector<at::Tensor> y = few_rows_linears(x, linears);
          ASSERT_EQ(y.size(), 3u);
          for (size_t i = 0; i < 3; ++i) {
            const auto& [w, bias, u, b] = linears[i];
            at::Tensor expected = at::linear(x.to(at::kDouble), w.to(at::kDouble),
                                             bias.defined() ? std::optional(bias.to(at::kDouble)) : std::nullopt);
            if (u.defined()) expected = expected.add(at::linear(u.to(at::kDouble), b.to(at::kDouble)));
            const double scale = 1 + std::sqrt(static_cast<double>(in + rank));
            EXPECT_LE(max_difference(y[i], expected), tolerance(type) * scale) << rows << " " << in << " " << rank;
          }
          if (rows == 8) {
            for (FewRowsLinear& linear : linears) {
              if (linear.u.defined()) linear.u = linear.u.narrow(0, 5, 1);
            }
            const std::vector<at::Tensor> alone = few_rows_linears(x.narrow(0, 5, 1), linears);
            for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(alone[i].equal(y[i].narrow(0, 5, 1))) << i;
          }
        }
      }
    }
  }
}

TEST_P(FewRows, AnAdapterOfAnotherShapeIsRefused) {
  const at::Tensor x = next_random_tensor({2, 6}, at::kFloat), w = next_random_tensor({5, 6}, at::kFloat);
  for (const auto& [u, b] : std::vector<std::pair<at::Tensor, at::Tensor>>{
           {next_random_tensor({3, 4}, at::kFloat), next_random_tensor({5, 4}, at::kFloat)},
           {next_random_tensor({2, 4}, at::kFloat), next_random_tensor({4, 4}, at::kFloat)},
           {next_random_tensor({2, 4}, at::kFloat), next_random_tensor({5, 3}, at::kFloat)},
           {next_random_tensor({2, 4}, at::kDouble), next_random_tensor({5, 4}, at::kDouble)}}) {
    const FewRowsLinear linear{.w = w, .bias = {}, .u = u, .b = b};
    EXPECT_THROW(few_rows_linears(x, {&linear, 1}), Error);
  }
}

TEST_P(FewRows, TakesRowsThatAreStrided) {
  const at::Tensor wide = next_random_tensor({4, 96}, at::kBFloat16), w = next_random_tensor({20, 32}, at::kBFloat16);
  const at::Tensor part = wide.narrow(1, 32, 32);
  EXPECT_TRUE(few_rows_linear(part, w, {}).equal(few_rows_linear(part.contiguous(), w, {})));
  const at::Tensor out = next_random_tensor({4, 60}, at::kBFloat16).mul(0), narrow = out.narrow(1, 20, 20);
  few_rows_add(part, w.t().contiguous(), narrow);
  EXPECT_LE(max_difference(narrow, few_rows_linear(part, w, {})), 0.25) << "one rounding of sums up to some 30";
  EXPECT_EQ(out.narrow(1, 0, 20).abs().sum().item<double>() + out.narrow(1, 40, 20).abs().sum().item<double>(), 0);
}

TEST_P(FewRows, LeavesManyRowsAndGradientsToOthers) {
  const at::Tensor w = next_random_tensor({5, 6}, at::kFloat);
  EXPECT_TRUE(takes_few_rows(next_random_tensor({8, 6}, at::kFloat), w));
  EXPECT_FALSE(takes_few_rows(next_random_tensor({9, 6}, at::kFloat), w));
  EXPECT_FALSE(takes_few_rows(next_random_tensor({2, 6}, at::kDouble), w));
  EXPECT_FALSE(takes_few_rows(next_random_tensor({2, 6}, at::kFloat).requires_grad_(true), w));
  EXPECT_THROW(few_rows_linear(next_random_tensor({2, 7}, at::kFloat), w, {}), Error);
}

MOELORA_EVERY_LEVEL(FewRows);

}  // namespace
}  // namespace moelora::kernels
