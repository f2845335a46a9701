// A linear that also lies in the order of the processor's products: beside float64, and beside the plain one.
#include "nn/packed_linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "core/threads.h"
#include "support/fixture.h"

namespace moelora::nn {
namespace {

using testing::relative_difference;

struct Shape {
  int64_t rows, in, out;
};

class PackedForm : public ::testing::TestWithParam<std::tuple<at::ScalarType, bool>> {
 protected:
  PackedForm() { at::manual_seed(7); }
  at::ScalarType dtype() const { return std::get<0>(GetParam()); }
  bool biased() const { return std::get<1>(GetParam()); }
  /// Of sums that are rounded once to the dtype.
  double allowed() const { return dtype() == at::kFloat ? 1e-6 : 4e-3; }
  at::Tensor draw(int64_t rows, int64_t columns) const { return at::randn({rows, columns}).to(dtype()); }
  std::unique_ptr<PlainLinear> plain(const at::Tensor& weight, const at::Tensor& bias) const {
    return std::make_unique<PlainLinear>(std::make_shared<Weight>("w", weight),
                                         bias.defined() ? std::make_shared<Weight>("b", bias) : nullptr);
  }
};

TEST_P(PackedForm, BothDirectionsEqualFloat64) {
  const at::NoGradGuard no_grad;
  for (const Shape& shape : {Shape{300, 64, 96}, {33, 7, 5}, {17, 1, 3}, {1, 40, 24}, {9, 130, 1}, {1025, 31, 257}}) {
    const at::Tensor weight = draw(shape.out, shape.in), x = draw(shape.rows, shape.in);
    const at::Tensor bias = biased() ? draw(1, shape.out)[0] : at::Tensor();
    const PackedLinear linear(plain(weight, bias), PackedLinear::Directions::kBoth);
    at::Tensor expected = at::mm(x.to(at::kDouble), weight.to(at::kDouble).t());
    if (biased()) expected = expected.add(bias.to(at::kDouble));
    const std::string named =
        std::to_string(shape.rows) + " x " + std::to_string(shape.in) + " x " + std::to_string(shape.out);
    EXPECT_LT(relative_difference(linear.forward(x), expected), allowed()) << named;

    const at::Tensor dy = draw(shape.rows, shape.out);
    const at::Tensor expected_dx = at::mm(dy.to(at::kDouble), weight.to(at::kDouble));
    at::Tensor dx;
    linear.accumulate_input_gradient(dy, dx);
    EXPECT_LT(relative_difference(dx, expected_dx), allowed()) << named;
    const at::Tensor before = draw(shape.rows, shape.in);
    dx = before.clone();
    linear.accumulate_input_gradient(dy, dx);
    EXPECT_LT(relative_difference(dx, expected_dx.add(before.to(at::kDouble))), allowed()) << named;
    EXPECT_TRUE(linear.dense_weight().equal(weight));
  }
}

TEST_P(PackedForm, RowsOfAWiderTensorAndNoRowsAtAll) {
  const at::NoGradGuard no_grad;
  const at::Tensor weight = draw(24, 40);
  const PackedLinear linear(plain(weight, biased() ? draw(1, 24)[0] : at::Tensor()), PackedLinear::Directions::kBoth);
  const at::Tensor wide = draw(50, 100);
  const at::Tensor x = wide.narrow(1, 30, 40);
  EXPECT_TRUE(linear.forward(x).equal(linear.forward(x.contiguous())));
  EXPECT_EQ(linear.forward(draw(0, 40)).sizes(), (std::vector<int64_t>{0, 24}));
  at::Tensor dx;
  linear.accumulate_input_gradient(draw(0, 24), dx);
  EXPECT_EQ(dx.sizes(), (std::vector<int64_t>{0, 40}));
}

TEST_P(PackedForm, ARowDoesNotDependOnHowManyThereAre) {
  const at::NoGradGuard no_grad;
  const PackedLinear linear(plain(draw(96, 130), {}), PackedLinear::Directions::kForward);
  const at::Tensor x = draw(300, 130), all = linear.forward(x);
  for (const int64_t rows : {9, 10, 31, 64, 257}) {  // fewer are streamed (kernels/few_rows.h)
    EXPECT_TRUE(linear.forward(x.narrow(0, 0, rows)).equal(all.narrow(0, 0, rows))) << rows;
  }
}

TEST_P(PackedForm, ADirectionThatIsNotPackedIsThePlainOne) {
  const at::NoGradGuard no_grad;
  const at::Tensor weight = draw(24, 40), dy = draw(50, 24);
  const PackedLinear linear(plain(weight, {}), PackedLinear::Directions::kForward);
  at::Tensor dx, expected;
  linear.accumulate_input_gradient(dy, dx);
  plain(weight, {})->accumulate_input_gradient(dy, expected);
  EXPECT_TRUE(dx.equal(expected));
}

std::vector<at::ScalarType> packed_dtypes() {
  std::vector<at::ScalarType> dtypes = {at::kFloat};
  if (PackedLinear::takes(at::kBFloat16)) dtypes.push_back(at::kBFloat16);
  return dtypes;
}

INSTANTIATE_TEST_SUITE_P(, PackedForm, ::testing::Combine(::testing::ValuesIn(packed_dtypes()), ::testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == at::kFloat ? "f32" : "bf16") +
                                  (std::get<1>(info.param) ? "_bias" : "");
                         });

TEST(PackedLinear, TakesFloat32EverywhereAndBfloat16WhereTheProcessorMultipliesIt) {
  EXPECT_TRUE(PackedLinear::takes(at::kFloat));
  EXPECT_EQ(PackedLinear::takes(at::kBFloat16), cpu_features().has_bf16());
  EXPECT_FALSE(PackedLinear::takes(at::kDouble));
}

TEST(PackedDecoder, GivesTheLogitsOfThePlainOne) {
  const at::NoGradGuard no_grad;
  for (const std::string family : {"qwen3", "qwen2"}) {  // without and with biases
    const testing::FixtureBatch batch(family + "/ragged");
    const Decoder plain = testing::load_decoder(family + "/f32", at::kFloat);
    const Decoder packed = testing::load_decoder(family + "/f32", at::kFloat, LinearForm::kPacked);
    PackedAttention one(batch.cu_seqlens()), other(batch.cu_seqlens());
    EXPECT_LT(
        relative_difference(packed.forward(batch.rows(), one, nullptr), plain.forward(batch.rows(), other, nullptr)),
        1e-5)
        << family;
    EXPECT_EQ(packed.weights().size(), plain.weights().size());
  }
}

}  // namespace
}  // namespace moelora::nn
