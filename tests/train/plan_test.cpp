// The plan's counts against the weights that a decoder and its adapters really have.
#include "train/plan.h"

#include <gtest/gtest.h>

#include "adapters/adapter_set.h"
#include "support/families.h"
#include "support/fixture.h"

namespace moelora::train {
namespace {

class PlanOfFamily : public ::testing::TestWithParam<std::string> {};

TEST_P(PlanOfFamily, CountsTheParametersThereAre) {
  nn::Decoder decoder = moelora::testing::load_decoder(GetParam() + "/f32", at::kFloat);
  int64_t weights = 0;
  for (const nn::WeightPtr& weight : decoder.weights()) weights += weight->stored().numel();
  config::RunConfig config;
  config.adapter.rank = 8;
  config.adapter.experts = 4;
  const Plan plan = plan_model(config, decoder.config(), /*tasks=*/3);
  EXPECT_EQ(plan.base_parameters, weights);
  const adapters::AdapterSet adapters(decoder, config.adapter, {"a", "b", "c"}, /*seed=*/1);
  EXPECT_EQ(plan.trained_parameters, adapters.parameter_count());
}

TEST(ChooseRecompute, TakesTheFirstThatFits) {
  nn::Decoder decoder = moelora::testing::load_decoder("qwen3/f32", at::kFloat);
  config::RunConfig config;
  config.train.tokens_per_batch = 64;
  EXPECT_EQ(choose_recompute(config, decoder.config(), 1), config::Recompute::kNone);
  config.train.tokens_per_batch = 1'000'000'000;  // no machine keeps as many rows
  EXPECT_EQ(choose_recompute(config, decoder.config(), 1), config::Recompute::kFull);
  config.train.recompute = config::Recompute::kMlp;
  EXPECT_EQ(choose_recompute(config, decoder.config(), 1), config::Recompute::kMlp);
}

TEST(PlanModel, CountsWhatEachRecomputationKeeps) {
  nn::Decoder decoder = moelora::testing::load_decoder("qwen3/f32", at::kFloat);
  config::RunConfig config;
  std::vector<int64_t> bytes;
  for (const auto recompute : {config::Recompute::kNone, config::Recompute::kMlp, config::Recompute::kFull}) {
    config.train.recompute = recompute;
    bytes.push_back(plan_model(config, decoder.config(), 1).activation_bytes);
  }
  EXPECT_GT(bytes[0], bytes[1]);
  EXPECT_GT(bytes[1], bytes[2]);
}

INSTANTIATE_TEST_SUITE_P(Families, PlanOfFamily, ::testing::ValuesIn(moelora::testing::kFamilies),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace moelora::train
