#include "nn/random_weights.h"

#include <gtest/gtest.h>

namespace moelora::nn {
namespace {

TEST(RandomWeights, AreDecidedBySeedAndNameAlone) {
  const auto draw = [](uint64_t seed, const std::string& name) {
    return RandomWeights(seed, 0.02).load(name, {8, 16}, at::kFloat);
  };
  EXPECT_TRUE(draw(1, "a.weight").equal(draw(1, "a.weight")));
  EXPECT_FALSE(draw(1, "a.weight").equal(draw(2, "a.weight")));
  EXPECT_FALSE(draw(1, "a.weight").equal(draw(1, "b.weight")));
}

TEST(RandomWeights, HaveTheAskedDeviation) {
  const at::Tensor weight = RandomWeights(7, 0.02).load("w.weight", {400, 500}, at::kFloat);
  EXPECT_NEAR(weight.std().item<double>(), 0.02, 2e-4);
  EXPECT_NEAR(weight.mean().item<double>(), 0, 2e-4);
}

TEST(RandomWeights, NormsAreOneOrWhatIsGivenAndBiasesZero) {
  RandomWeights weights(1, 0.02);
  EXPECT_EQ(weights.load("model.norm.weight", {5}, at::kFloat).sum().item<double>(), 5);
  EXPECT_EQ(RandomWeights(1, 0.02, /*norm=*/0).load("model.norm.weight", {5}, at::kFloat).abs().sum().item<double>(),
            0);
  EXPECT_EQ(weights.load("l.q_proj.bias", {5}, at::kFloat).abs().sum().item<double>(), 0);
}

}  // namespace
}  // namespace moelora::nn
