#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>

#include <functional>

#include "kernels/glu.h"
#include "kernels/levels.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/row_scale.h"
#include "support/gradcheck.h"

namespace moelora::kernels {
namespace {

using test::expect_gradients;
using test::max_difference;
using test::random_tensor;
using test::relative_difference;

constexpr double kBf16 = 1.0 / 256;  // one rounding: half a unit of 8 bits

// Closed forms in float64, straight from the definitions.
at::Tensor norm_oracle(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return x.div(x.mul(x).mean(-1, true).add(eps).sqrt()).mul(weight);
}
at::Tensor rope_oracle(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, int64_t rot) {
  const at::Tensor turned = x.narrow(2, 0, rot);  // x * cos + rotate_half(x) * sin, with cos and sin repeated
  const at::Tensor half = at::cat({turned.narrow(2, rot / 2, rot / 2).neg(), turned.narrow(2, 0, rot / 2)}, 2);
  const at::Tensor c = at::cat({cos, cos}, 1).unsqueeze(1), s = at::cat({sin, sin}, 1).unsqueeze(1);
  return at::cat({turned.mul(c).add(half.mul(s)), x.narrow(2, rot, x.size(2) - rot)}, 2);
}

class NormRopeSwiglu : public EveryLevel {};

TEST_P(NormRopeSwiglu, RmsNormGradientsMatchCentralDifferences) {
  for (const int64_t width : {1, 7, 19}) {
    expect_gradients([](const auto& in) { return std::vector<at::Tensor>{rms_norm(in[0], in[1], {1e-3})}; },
                     {random_tensor({5, width}, 1), random_tensor({width}, 2)}, 1e-6);
  }
}

TEST_P(NormRopeSwiglu, AddRmsNormGradientsMatchCentralDifferencesThroughBothResults) {
  expect_gradients(
      [](const auto& in) {
        const auto [y, sum] = add_rms_norm(in[0], in[1], in[2], {1e-3});
        return std::vector<at::Tensor>{y, sum};
      },
      {random_tensor({4, 11}, 1), random_tensor({4, 11}, 2), random_tensor({11}, 3)}, 1e-6);
  for (const int used : {0, 1}) {  // only one of the two results reaches the loss
    expect_gradients(
        [used](const auto& in) {
          const auto [y, sum] = add_rms_norm(in[0], in[1], at::ones({11}, at::kDouble), {1e-3});
          return std::vector<at::Tensor>{used == 0 ? y : sum};
        },
        {random_tensor({4, 11}, 1), random_tensor({4, 11}, 2)}, 1e-6);
  }
}

TEST_P(NormRopeSwiglu, UnitOffsetNormGradientsMatchCentralDifferences) {
  expect_gradients(
      [](const auto& in) {
        const auto [y, sum] = add_rms_norm(in[0], in[1], in[2], {1e-3, /*unit_offset=*/true});
        return std::vector<at::Tensor>{y, sum, rms_norm(in[0], in[2], {1e-3, true})};
      },
      {random_tensor({4, 11}, 1), random_tensor({4, 11}, 2), random_tensor({11}, 3)}, 1e-6);
}

TEST_P(NormRopeSwiglu, UnitOffsetNormRoundsOnce) {
  for (const int64_t width : {5, 130}) {
    const at::Tensor x = random_tensor({9, width}, 1).to(at::kBFloat16);
    const at::Tensor weight = random_tensor({width}, 2, 0.01).to(at::kBFloat16);  // 1 + weight isn't a bfloat16
    const at::Tensor expected = norm_oracle(x.to(at::kDouble), weight.to(at::kDouble).add(1), 1e-6);
    const at::Tensor found = rms_norm(x, weight, {1e-6, true});
    EXPECT_GE(found.eq(expected.to(at::kBFloat16)).to(at::kDouble).mean().item<double>(), 0.995);
    const at::Tensor wide = rms_norm(x.to(at::kFloat), weight.to(at::kFloat), {1e-6, true});
    EXPECT_LE(relative_difference(wide, expected), 1e-6);
  }
}

TEST_P(NormRopeSwiglu, RmsNormWeightGradientSumsOverManyRows) {
  const at::Tensor x = random_tensor({150, 3}, 1), dy = random_tensor({150, 3}, 2);
  at::Tensor weight = random_tensor({3}, 3).set_requires_grad(true);
  const at::Tensor found = torch::autograd::grad({rms_norm(x, weight, {1e-6})}, {weight}, {dy})[0];
  EXPECT_LE(max_difference(found, norm_oracle(x, at::ones({3}, at::kDouble), 1e-6).mul(dy).sum(0)), 1e-10);
}

TEST_P(NormRopeSwiglu, RmsNormIsCloseToFloat64InEveryDtypeAndShape) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{0, 8}, {1, 1}, {1, 5}, {3, 64}, {2, 3, 33}, {7, 896}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = random_tensor(shape, 1).to(type), weight = random_tensor({shape.back()}, 2).to(type);
      const at::Tensor residual = random_tensor(shape, 3).to(type);
      const double tolerance = type == at::kFloat ? 1e-6 : 2 * kBf16;
      EXPECT_LE(relative_difference(rms_norm(x, weight, {1e-6}),
                                    norm_oracle(x.to(at::kDouble), weight.to(at::kDouble), 1e-6)),
                tolerance);
      const auto [y, sum] = add_rms_norm(x, residual, weight, {1e-6});
      EXPECT_EQ(max_difference(sum, x.add(residual)), 0);
      EXPECT_LE(relative_difference(y, norm_oracle(sum.to(at::kDouble), weight.to(at::kDouble), 1e-6)), tolerance);
    }
  }
}

TEST_P(NormRopeSwiglu, Bf16RmsNormRoundsBeforeTheWeight) {
  // float32 statistics, the normalised value rounded to bf16, then bf16 times bf16: as the published modelling code
  // does.
  const at::Tensor x = random_tensor({16, 96}, 1).to(at::kBFloat16), weight = random_tensor({96}, 2).to(at::kBFloat16);
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor normed = wide.mul(wide.mul(wide).mean(-1, true).add(1e-6).rsqrt()).to(at::kBFloat16);
  const at::Tensor expected = weight.mul(normed), found = rms_norm(x, weight, {1e-6});
  EXPECT_GE(found.eq(expected).to(at::kDouble).mean().item<double>(), 0.995);  // a last bit of rstd may move a rounding
  EXPECT_LE(relative_difference(found, expected), kBf16);
}

TEST_P(NormRopeSwiglu, Bf16NormGradientsAreCloseToFloat64) {
  at::Tensor x = random_tensor({9, 130}, 1).to(at::kBFloat16).set_requires_grad(true);
  at::Tensor weight = random_tensor({130}, 2).to(at::kBFloat16).set_requires_grad(true);
  at::Tensor wide_x = x.detach().to(at::kDouble).set_requires_grad(true);
  at::Tensor wide_weight = weight.detach().to(at::kDouble).set_requires_grad(true);
  const at::Tensor dy = random_tensor({9, 130}, 3).to(at::kBFloat16);
  const auto found = torch::autograd::grad({rms_norm(x, weight, {1e-6})}, {x, weight}, {dy});
  const auto expected =
      torch::autograd::grad({norm_oracle(wide_x, wide_weight, 1e-6)}, {wide_x, wide_weight}, {dy.to(at::kDouble)});
  EXPECT_EQ(found[1].scalar_type(), at::kBFloat16);
  for (int i = 0; i < 2; ++i) EXPECT_LE(relative_difference(found[i], expected[i]), kBf16);
}

TEST_P(NormRopeSwiglu, RopeGradientIsTheInverseRotation) {
  const at::Tensor angle = random_tensor({3, 3}, 2);
  expect_gradients([&](const auto& in) { return std::vector<at::Tensor>{rope(in[0], angle.cos(), angle.sin())}; },
                   {random_tensor({3, 2, 9}, 1)});
}

TEST_P(NormRopeSwiglu, RopeMatchesRotateHalfForWholePartialAndStridedHeads) {
  for (const auto& [rows, heads, size, rot] : std::vector<std::array<int64_t, 4>>{
           {0, 2, 8, 8}, {1, 1, 2, 2}, {5, 3, 64, 64}, {5, 2, 80, 20}, {4, 2, 34, 34}, {3, 1, 7, 0}}) {
    const at::Tensor angle = random_tensor({rows, rot / 2}, 2).to(at::kFloat);
    const at::Tensor cos = angle.cos(), sin = angle.sin();
    const at::Tensor joint = random_tensor({rows, heads + 2, size}, 1);  // as q inside a fused q/k/v row
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const at::Tensor x = joint.to(type).narrow(1, 1, heads);
      const at::Tensor expected = rope_oracle(x.to(at::kDouble), cos.to(at::kDouble), sin.to(at::kDouble), rot);
      EXPECT_LE(max_difference(rope(x, cos, sin), expected), type == at::kBFloat16 ? 8 * kBf16 : 1e-6);
    }
  }
}

TEST_P(NormRopeSwiglu, RopeOfPairsIsAComplexProduct) {
  for (const auto& [rows, heads, size, rot] : std::vector<std::array<int64_t, 4>>{
           {0, 2, 8, 8}, {1, 1, 2, 2}, {5, 3, 64, 64}, {5, 2, 80, 20}, {4, 2, 34, 34}, {3, 1, 7, 0}, {2, 2, 64, 32}}) {
    const at::Tensor angle = random_tensor({rows, rot / 2}, 2).to(at::kFloat);
    const at::Tensor cos = angle.cos(), sin = angle.sin();
    const at::Tensor joint = random_tensor({rows, heads + 2, size}, 1);
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const at::Tensor x = joint.to(type).narrow(1, 1, heads);
      const at::Tensor pairs = x.to(at::kDouble).narrow(2, 0, rot).reshape({rows, heads, rot / 2, 2});
      const at::Tensor c = cos.to(at::kDouble).unsqueeze(1), s = sin.to(at::kDouble).unsqueeze(1);
      const at::Tensor real = pairs.select(3, 0).mul(c).sub(pairs.select(3, 1).mul(s));
      const at::Tensor imaginary = pairs.select(3, 0).mul(s).add(pairs.select(3, 1).mul(c));
      const at::Tensor turned = at::cat({real.unsqueeze(3), imaginary.unsqueeze(3)}, 3).reshape({rows, heads, rot});
      const at::Tensor expected = at::cat({turned, x.to(at::kDouble).narrow(2, rot, size - rot)}, 2);
      EXPECT_LE(max_difference(rope(x, cos, sin, RopeLayout::kPairs), expected),
                type == at::kBFloat16 ? 8 * kBf16 : 1e-6);
    }
  }
  const at::Tensor angle = random_tensor({3, 3}, 2);
  expect_gradients(
      [&](const auto& in) {
        return std::vector<at::Tensor>{rope(in[0], angle.cos(), angle.sin(), RopeLayout::kPairs)};
      },
      {random_tensor({3, 2, 9}, 1)});
}

TEST_P(NormRopeSwiglu, SwigluGradientsMatchCentralDifferences) {
  expect_gradients([](const auto& in) { return std::vector<at::Tensor>{swiglu(in[0], in[1])}; },
                   {random_tensor({3, 21}, 1, 2), random_tensor({3, 21}, 2)});
}

TEST_P(NormRopeSwiglu, GegluGradientsMatchCentralDifferences) {
  expect_gradients([](const auto& in) { return std::vector<at::Tensor>{geglu(in[0], in[1])}; },
                   {random_tensor({3, 21}, 1, 2), random_tensor({3, 21}, 2)});
}

TEST_P(NormRopeSwiglu, GegluIsCloseToFloat64InEveryDtypeAndFarOut) {
  for (const auto& [rows, width] : std::vector<std::array<int64_t, 2>>{{0, 4}, {1, 1}, {2, 31}, {5, 130}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const at::Tensor both = random_tensor({rows, 2 * width}, 1, 30).to(type);  // gates up to a hundred
      at::Tensor gate = both.narrow(1, 0, width).set_requires_grad(true),
                 up = both.narrow(1, width, width).set_requires_grad(true);
      at::Tensor wide_gate = gate.detach().to(at::kDouble).set_requires_grad(true);
      at::Tensor wide_up = up.detach().to(at::kDouble).set_requires_grad(true);
      const at::Tensor dy = random_tensor({rows, width}, 2).to(type);
      const at::Tensor found = geglu(gate, up), expected = at::gelu(wide_gate, "tanh").mul(wide_up);
      const double tolerance = type == at::kDouble ? 1e-12 : type == at::kFloat ? 1e-6 : kBf16;
      EXPECT_LE(relative_difference(found, expected), tolerance);
      const auto gradients = torch::autograd::grad({found}, {gate, up}, {dy});
      const auto wide = torch::autograd::grad({expected}, {wide_gate, wide_up}, {dy.to(at::kDouble)});
      for (int i = 0; i < 2; ++i) EXPECT_LE(relative_difference(gradients[i], wide[i]), tolerance);
    }
  }
}

TEST_P(NormRopeSwiglu, SwigluIsCloseToFloat64InEveryDtypeAndShape) {
  for (const auto& [rows, width] : std::vector<std::array<int64_t, 2>>{{0, 4}, {1, 1}, {2, 31}, {5, 130}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor both = random_tensor({rows, 2 * width}, 1, 3).to(type);  // gate and up of one product
      at::Tensor gate = both.narrow(1, 0, width).set_requires_grad(true),
                 up = both.narrow(1, width, width).set_requires_grad(true);
      at::Tensor wide_gate = gate.detach().to(at::kDouble).set_requires_grad(true);
      at::Tensor wide_up = up.detach().to(at::kDouble).set_requires_grad(true);
      const at::Tensor dy = random_tensor({rows, width}, 2).to(type);
      const at::Tensor found = swiglu(gate, up), expected = at::silu(wide_gate).mul(wide_up);
      const double tolerance = type == at::kFloat ? 1e-6 : kBf16;
      EXPECT_LE(relative_difference(found, expected), tolerance);
      const auto gradients = torch::autograd::grad({found}, {gate, up}, {dy});
      const auto wide = torch::autograd::grad({expected}, {wide_gate, wide_up}, {dy.to(at::kDouble)});
      for (int i = 0; i < 2; ++i) EXPECT_LE(relative_difference(gradients[i], wide[i]), tolerance);
    }
  }
}

TEST_P(NormRopeSwiglu, SwigluSurvivesExtremeGatesAndPassesNanOn) {
  at::Tensor gate = at::zeros({1, 5}, at::kFloat), up = at::ones({1, 5}, at::kFloat);
  const float values[] = {-1e30f, -200.f, 200.f, 1e30f, NAN};
  for (int i = 0; i < 5; ++i) gate.mutable_data_ptr<float>()[i] = values[i];
  const at::Tensor y = swiglu(gate, up);
  const float* found = y.const_data_ptr<float>();
  EXPECT_NEAR(found[0], 0, 1e-6);
  EXPECT_NEAR(found[1], 0, 1e-6);
  EXPECT_EQ(found[2], 200.f);
  EXPECT_EQ(found[3], 1e30f);
  EXPECT_TRUE(std::isnan(found[4]));
}

TEST_P(NormRopeSwiglu, RowScaleAndItsBackwardAreProducts) {
  for (const auto& [rows, rank] : std::vector<std::array<int64_t, 2>>{{0, 16}, {1, 1}, {5, 16}, {3, 7}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const at::Tensor z = random_tensor({rows, rank}, 1).to(type), dy = random_tensor({rows, rank}, 2).to(type);
      const at::Tensor m = random_tensor({rows, rank}, 3).to(type == at::kDouble ? at::kDouble : at::kFloat);
      const double tolerance = type == at::kBFloat16 ? kBf16 : 1e-6;
      EXPECT_LE(relative_difference(row_scale(z, m, 1), z.to(at::kDouble).mul(m)), tolerance);
      const at::Tensor three = at::cat({z, dy, z}, /*dim=*/1);
      EXPECT_LE(relative_difference(row_scale(three, m, 0.5), three.to(at::kDouble).mul(m.repeat({1, 3})).mul(0.5)),
                tolerance);
      const auto [dz, dm] = row_scale_backward(dy, z, m);
      EXPECT_EQ(dz.scalar_type(), type);
      EXPECT_EQ(dm.scalar_type(), m.scalar_type());
      EXPECT_LE(relative_difference(dz, dy.to(at::kDouble).mul(m)), tolerance);
      EXPECT_LE(relative_difference(dm, dy.to(at::kDouble).mul(z.to(at::kDouble))), 1e-6);
    }
  }
}

TEST_P(NormRopeSwiglu, NothingIsRecordedInNoGradMode) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = random_tensor({2, 8}, 1).set_requires_grad(true),
                   weight = random_tensor({8}, 2).set_requires_grad(true);
  EXPECT_FALSE(rms_norm(x, weight, {1e-6}).requires_grad());
  EXPECT_FALSE(swiglu(x, x).requires_grad());
}

// float16 has no passes: the composites, with autograd's own backward, against the passes in float64.
TEST(Composites, OfEveryFormEqualThePasses) {
  using Form = std::function<at::Tensor(const std::vector<at::Tensor>&)>;
  const at::Tensor angle = random_tensor({4, 5}, 9).to(at::kFloat);
  const std::vector<Form> forms = {
      [](const auto& in) { return rms_norm(in[0], in[1].select(0, 0), {1e-3}); },
      [](const auto& in) {
        return rms_norm(in[0], in[1].select(0, 0), {1e-3, /*unit_offset=*/true});
      },
      [](const auto& in) { return swiglu(in[0], in[1]); },
      [](const auto& in) { return geglu(in[0], in[1]); },
      [&](const auto& in) {
        return rope(in[0].view({4, 2, 12}), angle.cos(), angle.sin(), RopeLayout::kHalves);
      },
      [&](const auto& in) {
        return rope(in[0].view({4, 2, 12}), angle.cos(), angle.sin(), RopeLayout::kPairs);
      },
  };
  for (size_t form = 0; form < forms.size(); ++form) {
    std::vector<at::Tensor> half, wide;
    for (uint64_t i = 0; i < 2; ++i) {
      half.push_back(random_tensor({4, 24}, 1 + i).to(at::kHalf).set_requires_grad(true));
      wide.push_back(half[i].detach().to(at::kDouble).set_requires_grad(true));
    }
    const at::Tensor found = forms[form](half), expected = forms[form](wide);
    EXPECT_EQ(found.scalar_type(), at::kHalf);
    EXPECT_LE(relative_difference(found, expected), 2e-3) << form;
    found.backward(at::ones_like(found));
    expected.backward(at::ones_like(expected));
    EXPECT_LE(relative_difference(half[0].grad(), wide[0].grad()), 4e-3) << form;
  }
}

MOELORA_EVERY_LEVEL(NormRopeSwiglu);

}  // namespace
}  // namespace moelora::kernels
