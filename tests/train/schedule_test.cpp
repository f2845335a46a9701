// The learning rates of transformers 5.23: get_scheduler(name, num_warmup_steps=3, num_training_steps=10) at a peak
// of 2.
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <vector>

#include "train/trainer.h"

namespace moelora::train {
namespace {

void expect_rates(config::Schedule schedule, const std::vector<double>& expected) {
  const LearningRate rate{.peak = 2, .schedule = schedule, .warmup_steps = 3, .total_steps = 10};
  for (size_t step = 0; step < expected.size(); ++step) {
    EXPECT_NEAR(rate.at(static_cast<int64_t>(step)), expected[step], 1e-14) << "step " << step;
  }
}

TEST(LearningRate, IsThatOfTransformersLinear) {
  expect_rates(config::Schedule::kLinear,
               {0.0, 0.6666666666666666, 1.3333333333333333, 2.0, 1.7142857142857142, 1.4285714285714286,
                1.1428571428571428, 0.8571428571428571, 0.5714285714285714, 0.2857142857142857, 0.0});
}

TEST(LearningRate, IsThatOfTransformersCosine) {
  expect_rates(config::Schedule::kCosine,
               {0.0, 0.6666666666666666, 1.3333333333333333, 2.0, 1.900968867902419, 1.6234898018587336,
                1.2225209339563143, 0.7774790660436857, 0.3765101981412665, 0.09903113209758097, 0.0});
}

TEST(LearningRate, IsThatOfTransformersConstantWithWarmup) {
  expect_rates(config::Schedule::kConstant,
               {0.0, 0.6666666666666666, 1.3333333333333333, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0});
}

TEST(LearningRate, IsThePeakFromTheFirstStepWithoutWarmup) {
  const LearningRate rate{.peak = 2, .schedule = config::Schedule::kLinear, .warmup_steps = 0, .total_steps = 4};
  EXPECT_DOUBLE_EQ(rate.at(0), 2.0);
  EXPECT_DOUBLE_EQ(rate.at(3), 0.5);
}

TEST(TotalSteps, ComeFromEpochsUnlessTheyAreGiven) {
  EXPECT_EQ(total_steps({.epochs = 3}, 10), 30);
  EXPECT_EQ(total_steps({.epochs = 0.25}, 10), 3);  // a started step is a step
  EXPECT_EQ(total_steps({.epochs = 0.3}, 10), 3);   // 0.3 * 10 isn't quite 3 in binary
  EXPECT_EQ(total_steps({.epochs = 0.001}, 10), 1);
  EXPECT_EQ(total_steps({.epochs = 3, .max_steps = 7}, 10), 7);
}

}  // namespace
}  // namespace moelora::train
