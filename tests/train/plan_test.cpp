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

INSTANTIATE_TEST_SUITE_P(Families, PlanOfFamily, ::testing::ValuesIn(moelora::testing::kFamilies),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace moelora::train
