// Products with a thin matrix beside float64, for shapes that fill no block.
#include "kernels/thin_products.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "kernels/passes.h"

namespace moelora::kernels {
namespace {

struct Shape {
  int64_t rows, width, factors;
};

class ThinProductsOf : public ::testing::TestWithParam<std::tuple<Shape, at::ScalarType>> {
 protected:
  void SetUp() override { at::manual_seed(1); }  // a sum that nearly cancels has no digits to compare
  Shape shape() const { return std::get<0>(GetParam()); }
  at::Tensor draw(int64_t rows, int64_t columns) const {
    return at::randn({rows, columns}, at::kDouble).to(std::get<1>(GetParam()));
  }
  /// Of a sum in float32 of exact products, rounded to the dtype where it is given back in it.
  double tolerance(bool rounded) const {
    const at::ScalarType dtype = std::get<1>(GetParam());
    if (dtype == at::kDouble) return 1e-14;
    return rounded && dtype == at::kBFloat16 ? 4e-3 : 2e-6;
  }
};

double difference(const at::Tensor& found, const at::Tensor& expected) {
  const double size = at::linalg_vector_norm(expected).item<double>();
  return at::linalg_vector_norm(found.to(at::kDouble).sub(expected)).item<double>() / std::max(size, 1e-300);
}

TEST_P(ThinProductsOf, EqualFloat64) {
  const auto [rows, width, factors] = shape();
  const at::Tensor x = draw(rows, width), w = draw(factors, width);
  const at::Tensor u = draw(rows, factors + 3).narrow(1, 2, factors);  // strided, as a member's share of the stack is
  const at::Tensor wide_du = draw(rows, factors + 5), du = wide_du.narrow(1, 1, factors);
  const at::Tensor before = wide_du.clone();
  const auto exact = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };

  const at::Tensor projected = thin_project(x, w);
  EXPECT_EQ(projected.scalar_type(), x.scalar_type());
  EXPECT_LT(difference(projected, at::mm(exact(x), exact(w).t())), tolerance(true));

  const at::Tensor gradient = thin_gradient(u, x);
  EXPECT_EQ(gradient.scalar_type(), x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const bool ours = passes().thin_products != nullptr && width % 2 == 0 && factors <= kMostFactors;
  const bool exact_sums = x.scalar_type() != at::kBFloat16 || ours;  // ATen rounds its sums of bfloat16
  EXPECT_LT(difference(gradient, at::mm(exact(u).t(), exact(x))), tolerance(!exact_sums));

  const at::Tensor db = thin_gradients(x, w, u, du);
  EXPECT_LT(difference(db, at::mm(exact(x).t(), exact(u))), tolerance(!exact_sums));
  EXPECT_LT(difference(du, at::mm(exact(x), exact(w).t())), tolerance(true));
  EXPECT_TRUE(wide_du.select(1, 0).equal(before.select(1, 0)));  // what lies beside du is left alone
  EXPECT_TRUE(wide_du.narrow(1, factors + 1, 4).equal(before.narrow(1, factors + 1, 4)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ThinProductsOf,
                         ::testing::Combine(::testing::Values(Shape{1, 2, 1}, Shape{2, 34, 3}, Shape{33, 128, 8},
                                                              Shape{31, 130, 16}, Shape{257, 896, 48},
                                                              Shape{100, 333, 16}, Shape{64, 1024, 64},
                                                              Shape{5, 256, 80}, Shape{37, 290, 21}),
                                            ::testing::Values(at::kFloat, at::kBFloat16, at::kDouble)),
                         [](const auto& info) {
                           const Shape& s = std::get<0>(info.param);
                           return std::to_string(s.rows) + "x" + std::to_string(s.width) + "x" +
                                  std::to_string(s.factors) + at::toString(std::get<1>(info.param));
                         });

TEST(ThinProducts, OfNoRowsAreZero) {
  const at::Tensor x = at::empty({0, 64}, at::kBFloat16), u = at::empty({0, 4}, at::kBFloat16);
  EXPECT_EQ(thin_project(x, at::randn({4, 64}).to(at::kBFloat16)).size(0), 0);
  EXPECT_EQ(thin_gradient(u, x).abs().sum().item<float>(), 0);
}

}  // namespace
}  // namespace moelora::kernels
