#include "kernels/few_rows.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

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

/// A group of three linears, of which the last two have adapters.
struct Parts {
  Parts(at::ScalarType type, int64_t in, int64_t rank)
      : linears{{.w = next_random_tensor({130, in}, type), .bias = next_random_tensor({130}, type), .b = {}},
                {.w = next_random_tensor({1, in}, type), .bias = {}, .b = next_random_tensor({1, rank}, type)},
                {.w = next_random_tensor({67, in}, type),
                 .bias = next_random_tensor({67}, type),
                 .b = next_random_tensor({67, rank}, type)}},
        a(next_random_tensor({2 * rank, in}, type)) {}

  FewRowsGroup group() const { return FewRowsGroup(linears, a, kScale); }

  static constexpr double kScale = 0.75;
  std::vector<FewRowsLinear> linears;
  at::Tensor a;
};

at::Tensor as_double(const at::Tensor& x) {
  return x.to(at::kDouble);
}

/// With x A^T and u rounded as the group rounds them; `type` may round them to the other side, by one unit.
void expect_products(const Parts& parts, const at::Tensor& x, const at::Tensor& m, const std::string& what) {
  const at::ScalarType type = x.scalar_type();
  const int64_t in = x.size(1), rank = parts.a.size(0) / 2;
  const std::vector<at::Tensor> y = parts.group().multiply(x, m);
  ASSERT_EQ(y.size(), 3u);
  at::Tensor u = as_double(at::linear(as_double(x), as_double(parts.a)).to(type)).mul(Parts::kScale);
  if (m.defined()) u = u.mul(as_double(m).repeat({1, 2 * rank / m.size(1)}));
  u = as_double(u.to(type));
  const double of_x = 1 + std::sqrt(static_cast<double>(in));
  for (size_t i = 0, adapter = 0; i < 3; ++i) {
    const auto& [w, bias, b] = parts.linears[i];
    at::Tensor expected =
        at::linear(as_double(x), as_double(w), bias.defined() ? std::optional(as_double(bias)) : std::nullopt);
    double scale = of_x;
    if (b.defined()) {
      expected = expected.add(at::linear(u.narrow(1, static_cast<int64_t>(adapter++) * rank, rank), as_double(b)));
      scale += of_x * std::sqrt(static_cast<double>(rank));
    }
    EXPECT_LE(max_difference(y[i], expected), tolerance(type) * scale) << what << ", linear " << i;
  }
}

TEST_P(FewRows, AGroupEqualsItsProductsWithAndWithoutAdapters) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const int64_t rows : {0, 1, 3, 8}) {
      for (const int64_t in : {1, 40, 700}) {
        for (const int64_t rank : {1, 16, 33}) {
          const Parts parts(type, in, rank);
          const at::Tensor x = next_random_tensor({rows, in}, type);
          const std::string what = std::to_string(rows) + " x " + std::to_string(in) + ", rank " + std::to_string(rank);
          const at::ScalarType of_m = type == at::kDouble ? type : at::kFloat;
          expect_products(parts, x, {}, what);
          expect_products(parts, x, next_random_tensor({rows, rank}, of_m), what + ", the same weights for all");
          expect_products(parts, x, next_random_tensor({rows, 2 * rank}, of_m), what + ", weights for each");
          expect_products(parts, x, next_random_tensor({1, rank}, of_m).expand({rows, rank}), what + ", for all rows");
        }
      }
    }
  }
}

TEST_P(FewRows, AGroupWithoutAdaptersHasTheBitsOfItsLinears) {
  Parts parts(at::kBFloat16, 200, 16);
  for (FewRowsLinear& linear : parts.linears) linear.b = at::Tensor();
  const at::Tensor x = next_random_tensor({5, 200}, at::kBFloat16);
  const std::vector<at::Tensor> y = FewRowsGroup(parts.linears).multiply(x);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(y[i].equal(few_rows_linear(x, parts.linears[i].w, parts.linears[i].bias)));
}

TEST_P(FewRows, ARowsBitsInAGroupDontDependOnTheOthers) {
  const FewRowsGroup group = Parts(at::kBFloat16, 700, 16).group();
  const at::Tensor x = next_random_tensor({8, 700}, at::kBFloat16), m = next_random_tensor({8, 16}, at::kFloat);
  const std::vector<at::Tensor> together = group.multiply(x, m);
  for (int64_t row = 0; row < 8; ++row) {
    const std::vector<at::Tensor> alone = group.multiply(x.narrow(0, row, 1), m.narrow(0, row, 1));
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(alone[i].equal(together[i].narrow(0, row, 1))) << row << " " << i;
  }
}

TEST_P(FewRows, AGroupOfOtherShapesIsRefused) {
  const Parts whole(at::kFloat, 6, 4);
  using Spoil = std::function<void(Parts&)>;
  for (const Spoil& spoil :
       std::vector<Spoil>{[](Parts& p) { p.linears.clear(); },
                          [](Parts& p) {
                            p.a = next_random_tensor({8, 5}, at::kFloat);
                          },
                          [](Parts& p) {
                            p.a = next_random_tensor({9, 6}, at::kFloat);
                          },
                          [](Parts& p) {
                            p.a = next_random_tensor({8, 6}, at::kDouble);
                          },
                          [](Parts& p) { p.a = at::Tensor(); },
                          [](Parts& p) {
                            p.linears[0].w = next_random_tensor({130, 7}, at::kFloat);
                          },
                          [](Parts& p) { p.linears[0].bias = next_random_tensor({129}, at::kFloat); },
                          [](Parts& p) {
                            p.linears[1].b = next_random_tensor({2, 4}, at::kFloat);
                          },
                          [](Parts& p) {
                            p.linears[1].b = next_random_tensor({1, 3}, at::kFloat);
                          },
                          [](Parts& p) {
                            p.linears[1].b = next_random_tensor({1, 4}, at::kBFloat16);
                          }}) {
    Parts spoilt = whole;
    spoil(spoilt);
    EXPECT_THROW(spoilt.group(), Error);
  }
  const FewRowsGroup group = whole.group();
  EXPECT_THROW(group.multiply(next_random_tensor({2, 5}, at::kFloat)), Error);
  EXPECT_THROW(group.multiply(next_random_tensor({9, 6}, at::kFloat)), Error);
  const at::Tensor x = next_random_tensor({2, 6}, at::kFloat);
  EXPECT_THROW(group.multiply(x, next_random_tensor({3, 4}, at::kFloat)), Error);
  EXPECT_THROW(group.multiply(x, next_random_tensor({2, 3}, at::kFloat)), Error);
  EXPECT_THROW(group.multiply(x, next_random_tensor({2, 4}, at::kDouble)), Error);
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
