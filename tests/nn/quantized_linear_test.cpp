// Linears of fewer bits: their numbers against bitsandbytes', and a whole decoder of them against the plain one.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "nn/int8_linear.h"
#include "nn/nf4_linear.h"
#include "support/fixture.h"

namespace moelora::nn {
namespace {

using testing::FixtureBatch;
using testing::largest_difference;
using testing::Oracle;
using testing::relative_difference;

class BitsAndBytesForm : public ::testing::TestWithParam<std::string> {};
class NestedForm : public ::testing::TestWithParam<std::string> {};  // scales quantised too, as ours always are

/// What bitsandbytes stored.
kernels::Nf4Weight stored(const Oracle& oracle) {
  kernels::Nf4Weight weight{.out = oracle["weight"].size(0),
                            .in = oracle["weight"].size(1),
                            .codes = oracle["codes"],
                            .scales = oracle["scales"]};
  if (oracle.contains("nested_scales")) {
    weight.scale_levels = oracle["scale_levels"];
    weight.nested_scales = oracle["nested_scales"];
    weight.offset = oracle["offset"].item<float>();
  }
  return weight;
}

TEST_P(BitsAndBytesForm, ReadsItsFormBitForBit) {
  const Oracle oracle("nf4/" + GetParam() + ".safetensors");
  const kernels::Nf4Weight weight = stored(oracle);
  EXPECT_TRUE(kernels::dequantize(weight, at::kFloat).equal(oracle["float32"]));
  EXPECT_TRUE(kernels::dequantize(weight, at::kBFloat16).equal(oracle["bfloat16"]));
}

TEST_P(NestedForm, IsMadeWithBitsAndBytesCodesAndScales) {
  const Oracle oracle("nf4/" + GetParam() + ".safetensors");
  const kernels::Nf4Weight theirs = stored(oracle), ours = kernels::quantize_nf4(oracle["weight"], "weight");
  EXPECT_TRUE(ours.codes.equal(theirs.codes));
  EXPECT_TRUE(ours.scale_levels.equal(theirs.scale_levels));
  // Its CPU code doesn't always take the nearest of two levels that are about as near; ours does.
  const at::Tensor apart = ours.scales.to(at::kInt).sub(theirs.scales.to(at::kInt)).abs();
  EXPECT_LE(apart.max().item<int>(), 1);
  EXPECT_LE(apart.sum().item<double>(), 0.02 * static_cast<double>(apart.numel()));
  EXPECT_NEAR(ours.offset, theirs.offset, 1e-6 * std::abs(theirs.offset));
  EXPECT_LT(relative_difference(ours.nested_scales, theirs.nested_scales), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(, BitsAndBytesForm, ::testing::Values("plain", "nested", "half", "odd_rows", "outliers"));
INSTANTIATE_TEST_SUITE_P(, NestedForm, ::testing::Values("nested", "half", "odd_rows", "outliers"));

TEST(BitsAndBytes, AModelThatTransformersSavedGivesItsLogits) {
  const at::NoGradGuard no_grad;
  const Oracle oracle("nf4/model/logits.safetensors");
  const auto model = io::HfModel::open(testing::fixtures_dir() + "/nf4/model");
  const at::Tensor ids = oracle["ids"].flatten();
  for (const LinearForm form : {LinearForm::kNf4, LinearForm::kPlain}) {  // as stored, and dequantised at load
    const Decoder decoder(parse_model_config(model->config(), "config.json"), *model, at::kFloat, form);
    PackedAttention attention({0, ids.numel()});
    const at::Tensor hidden = decoder.forward({ids, at::arange(ids.numel(), at::kLong)}, attention, nullptr);
    EXPECT_LT(largest_difference(decoder.logits(hidden), oracle["logits"]), 1e-4);
  }
}

class QuantizedDecoder : public ::testing::TestWithParam<std::tuple<LinearForm, at::ScalarType>> {
 protected:
  Decoder load(const std::string& folder) const {
    const auto model = io::HfModel::open(testing::fixtures_dir() + "/" + folder);
    const auto& [form, dtype] = GetParam();
    return Decoder(parse_model_config(model->config(), "config.json"), *model, dtype, form);
  }
};

/// `decoder` with the weights that its linears stand for.
void make_plain(Decoder& decoder) {
  decoder.for_each_projection([](std::unique_ptr<Projection>& projection) {
    std::vector<Member> members;
    for (const Member& member : projection->members()) {
      const at::Tensor bias = member.base->bias();
      members.push_back({member.path, std::make_shared<PlainLinear>(
                                          std::make_shared<Weight>("weight", member.base->dense_weight()),
                                          bias.defined() ? std::make_shared<Weight>("bias", bias) : nullptr)});
    }
    projection = std::make_unique<BaseProjection>(std::move(members));
  });
}

/// Hidden rows, and the gradient of their sum of squares with respect to the first layer's input through `decoder`.
std::pair<at::Tensor, at::Tensor> pass(const Decoder& decoder, const FixtureBatch& batch) {
  PackedAttention attention(batch.cu_seqlens());
  for (const WeightPtr& weight : decoder.weights()) {
    if (weight->name().find("embed") != std::string::npos) weight->make_trainable();
  }
  const at::Tensor hidden = decoder.forward(batch.rows(), attention, nullptr);
  hidden.to(at::kFloat).square().sum().backward();
  for (const WeightPtr& weight : decoder.weights()) {
    if (weight->trainable()) return {hidden.detach(), weight->stored().grad()};
  }
  return {hidden.detach(), {}};
}

TEST_P(QuantizedDecoder, ForwardAndBackwardAreNearThoseOfItsWeights) {
  for (const std::string family : {"qwen3", "qwen2"}) {  // without and with biases
    const FixtureBatch batch(family + "/ragged");
    Decoder quantised = load(family + "/f32"), plain = load(family + "/f32");
    make_plain(plain);
    const auto [hidden, gradient] = pass(quantised, batch);
    const auto [expected, expected_gradient] = pass(plain, batch);
    ASSERT_TRUE(gradient.defined());
    const auto [form, dtype] = GetParam();
    // NF4 multiplies the same numbers; int8 rounds activations and gradients to 127 steps.
    const double allowed = form == LinearForm::kNf4 ? (dtype == at::kFloat ? 1e-6 : 1e-2) : 5e-2;
    EXPECT_LT(relative_difference(hidden, expected), allowed) << family;
    EXPECT_LT(relative_difference(gradient, expected_gradient), 2 * allowed) << family;
  }
}

TEST_P(QuantizedDecoder, IsNotThePlainOne) {
  const FixtureBatch batch("qwen3/ragged");
  const auto model = io::HfModel::open(testing::fixtures_dir() + "/qwen3/f32");
  const at::NoGradGuard no_grad;
  PackedAttention attention(batch.cu_seqlens());
  const Decoder plain(parse_model_config(model->config(), "config.json"), *model, std::get<1>(GetParam()));
  const at::Tensor there = plain.forward(batch.rows(), attention, nullptr);
  const at::Tensor here = load("qwen3/f32").forward(batch.rows(), attention, nullptr);
  EXPECT_GT(relative_difference(here, there), 1e-3);
  EXPECT_LT(relative_difference(here, there), 0.4);
}

TEST_P(QuantizedDecoder, KeepsLessInMemory) {
  Decoder decoder = load("qwen3/f32");
  int64_t bytes = 0, weights = 0;
  decoder.for_each_projection([&](std::unique_ptr<Projection>& projection) {
    for (const Member& member : projection->members()) {
      const int64_t out = member.base->out_features(), in = member.base->in_features();
      EXPECT_EQ(member.base->weight_bytes(), linear_bytes(std::get<0>(GetParam()), out, in, 2)) << member.path;
      bytes += member.base->weight_bytes();
      weights += out * in;
    }
  });
  EXPECT_LT(static_cast<double>(bytes), (std::get<0>(GetParam()) == LinearForm::kNf4 ? 0.6 : 1.3) * weights);
  for (const WeightPtr& weight : decoder.weights()) EXPECT_EQ(weight->name().find("_proj.weight"), std::string::npos);
}

std::string quantized_name(const ::testing::TestParamInfo<std::tuple<LinearForm, at::ScalarType>>& info) {
  return std::string(std::get<0>(info.param) == LinearForm::kNf4 ? "nf4" : "int8") +
         (std::get<1>(info.param) == at::kFloat ? "_f32" : "_bf16");
}
INSTANTIATE_TEST_SUITE_P(, QuantizedDecoder,
                         ::testing::Combine(::testing::Values(LinearForm::kInt8, LinearForm::kNf4),
                                            ::testing::Values(at::kFloat, at::kBFloat16)),
                         quantized_name);

TEST(QuantizedLinear, WeightsThatArentFiniteAreRefusedByName) {
  at::Tensor weight = at::zeros({4, 64}, at::kFloat);
  weight[1][2] = std::numeric_limits<float>::quiet_NaN();
  try {
    const Int8Linear linear("model.layers.0.mlp.up_proj.weight", weight, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_EQ(error.details().where, "model.layers.0.mlp.up_proj.weight");
  }
}

}  // namespace
}  // namespace moelora::nn
