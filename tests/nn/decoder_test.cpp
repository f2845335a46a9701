// Every family against transformers: logits, loss, and the gradient of every base parameter, on packed ragged and even
// batches; and that gradient against central differences in float64.
#include "nn/decoder.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "core/error.h"
#include "support/families.h"
#include "support/fixture.h"
#include "support/gradcheck.h"

namespace moelora::nn {
namespace {

using testing::FixtureBatch;
using testing::largest_difference;
using testing::load_decoder;
using testing::Oracle;
using testing::relative_difference;

class DecoderParity : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  std::string family() const { return std::get<0>(GetParam()); }
  std::string batch_folder() const { return family() + "/" + std::get<1>(GetParam()); }
};

TEST_P(DecoderParity, LogitsAndLossEqualTransformers) {
  const at::NoGradGuard no_grad;
  const Decoder decoder = load_decoder(family() + "/f32", at::kFloat);
  const FixtureBatch batch(batch_folder());
  const Oracle expected(batch_folder() + "/expected.safetensors");
  PackedAttention attention(batch.cu_seqlens());
  const at::Tensor hidden = decoder.forward(batch.rows(), attention, nullptr);
  EXPECT_LT(largest_difference(decoder.logits(hidden), expected["logits"]), 1e-4);
  EXPECT_NEAR(batch.loss(decoder, hidden).item<double>(), expected["loss_f64"].item<double>(), 1e-5);
}

TEST_P(DecoderParity, WantedRowsAreThoseOfTheWholeBatch) {
  const at::NoGradGuard no_grad;
  const Decoder decoder = load_decoder(family() + "/f32", at::kFloat);
  const FixtureBatch batch(batch_folder());
  PackedAttention attention(batch.cu_seqlens());
  const at::Tensor all = decoder.forward(batch.rows(), attention, nullptr).index_select(0, batch.supervised_rows());
  const at::Tensor wanted = decoder.forward(batch.rows(), attention, nullptr, {.wanted_rows = batch.supervised_rows()});
  EXPECT_EQ(wanted.sizes(), all.sizes());
  EXPECT_LT(relative_difference(wanted, all), 1e-6);
}

TEST_P(DecoderParity, ShardedModelGivesTheSameBits) {
  const at::NoGradGuard no_grad;
  const FixtureBatch batch(batch_folder());
  PackedAttention attention(batch.cu_seqlens());
  const at::Tensor whole = load_decoder(family() + "/f32", at::kFloat).forward(batch.rows(), attention, nullptr);
  const at::Tensor sharded = load_decoder(family() + "/sharded", at::kFloat).forward(batch.rows(), attention, nullptr);
  EXPECT_EQ(largest_difference(whole, sharded), 0);
}

TEST_P(DecoderParity, HalfPrecisionFilesAreReadExactly) {
  const at::NoGradGuard no_grad;
  const FixtureBatch batch(batch_folder());
  const Oracle expected(batch_folder() + "/expected.safetensors");
  PackedAttention attention(batch.cu_seqlens());
  for (const auto& [folder, name] :
       {std::pair("bf16", "logits_bfloat16_weights"), std::pair("f16", "logits_float16_weights")}) {
    const Decoder decoder = load_decoder(family() + "/" + folder, at::kFloat);
    EXPECT_LT(largest_difference(decoder.logits(decoder.forward(batch.rows(), attention, nullptr)), expected[name]),
              1e-4)
        << folder;
  }
}

TEST_P(DecoderParity, BFloat16ComputationStaysNearFloat32) {
  const at::NoGradGuard no_grad;
  const FixtureBatch batch(batch_folder());
  const Oracle expected(batch_folder() + "/expected.safetensors");
  PackedAttention attention(batch.cu_seqlens());
  const Decoder decoder = load_decoder(family() + "/bf16", at::kBFloat16);
  const at::Tensor hidden = decoder.forward(batch.rows(), attention, nullptr);
  EXPECT_EQ(hidden.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_difference(decoder.logits(hidden), expected["logits_bfloat16_weights"]), 2e-2);
}

TEST_P(DecoderParity, GradientOfEveryBaseParameterEqualsTransformers) {
  const FixtureBatch batch(batch_folder());
  const Oracle expected(batch_folder() + "/expected.safetensors");
  for (const ForwardOptions& options :
       {ForwardOptions{}, ForwardOptions{.recompute = Recompute::kFull},
        ForwardOptions{.wanted_rows = batch.supervised_rows()},
        ForwardOptions{.recompute = Recompute::kMlp, .wanted_rows = batch.supervised_rows()},
        ForwardOptions{.recompute = Recompute::kFull, .wanted_rows = batch.supervised_rows()}}) {
    Decoder decoder = load_decoder(family() + "/f32", at::kFloat);
    decoder.make_trainable();
    PackedAttention attention(batch.cu_seqlens());
    batch.loss(decoder, decoder.forward(batch.rows(), attention, nullptr, options)).backward();
    for (const WeightPtr& weight : decoder.weights()) {
      EXPECT_LT(relative_difference(weight->stored().grad(), expected["grad." + weight->name()]), 1e-4)
          << weight->name();
    }
  }
}

/// In a random direction of each parameter, by central differences of fourth order.
TEST_P(DecoderParity, GradientInFloat64IsTheSlopeOfTheLoss) {
  constexpr double kStep = 1e-3;
  const FixtureBatch batch(batch_folder());
  Decoder decoder = load_decoder(family() + "/f32", at::kDouble);
  decoder.make_trainable();
  PackedAttention attention(batch.cu_seqlens());
  const auto loss = [&] { return batch.loss(decoder, decoder.forward(batch.rows(), attention, nullptr)); };
  loss().backward();
  const at::NoGradGuard no_grad;
  for (const WeightPtr& weight : decoder.weights()) {
    at::Tensor value = weight->stored();
    const at::Tensor random = test::next_random_tensor(value.sizes().vec(), at::kDouble);
    const at::Tensor direction = random.div(random.norm()), centre = value.detach().clone();
    const auto loss_at = [&](double steps) {
      value.copy_(centre.add(direction, steps * kStep));
      const double there = loss().item<double>();
      value.copy_(centre);
      return there;
    };
    const double slope = value.grad().mul(direction).sum().item<double>();
    const double expected = (8 * (loss_at(1) - loss_at(-1)) - (loss_at(2) - loss_at(-2))) / (12 * kStep);
    EXPECT_NEAR(slope, expected, 1e-9) << weight->name();
    EXPECT_GT(std::abs(slope), 1e-7) << weight->name();
  }
}

INSTANTIATE_TEST_SUITE_P(Families, DecoderParity,
                         ::testing::Combine(::testing::ValuesIn(moelora::testing::kFamilies),
                                            ::testing::Values("ragged", "even")),
                         [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param); });

TEST(Decoder, RefusesTokensOutsideTheVocabulary) {
  const at::NoGradGuard no_grad;
  const Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  Rows rows = FixtureBatch("qwen3/even").rows();
  rows.ids = rows.ids.clone();
  rows.ids.select(0, 3).fill_(decoder.config().vocab_size);
  PackedAttention attention({0, rows.ids.size(0)});
  try {
    decoder.forward(rows, attention, nullptr);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_EQ(error.details().found, std::to_string(decoder.config().vocab_size));
  }
}

TEST(Decoder, RefusesPositionsBeyondTheContext) {
  const at::NoGradGuard no_grad;
  const Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  Rows rows = FixtureBatch("qwen3/even").rows();
  rows.positions = rows.positions.add(decoder.config().max_positions);
  PackedAttention attention({0, rows.ids.size(0)});
  try {
    decoder.forward(rows, attention, nullptr);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
  }
}

}  // namespace
}  // namespace moelora::nn
