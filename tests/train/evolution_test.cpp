// The search without gradients finds minima that are known.
#include "train/evolution.h"

#include <gtest/gtest.h>

#include <cmath>

namespace moelora::train {
namespace {

/// Σ_i scale^i (x_i - i)², a bowl with axes of very different lengths, turned by mixing neighbours.
double bowl(const std::vector<double>& x, double scale) {
  double value = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - static_cast<double>(i), next = i + 1 < x.size() ? x[i + 1] - static_cast<double>(i + 1) : 0;
    value += std::pow(scale, static_cast<double>(i)) * (d - 0.5 * next) * (d - 0.5 * next);
  }
  return value;
}

TEST(Evolution, FindsTheBottomOfAnIllConditionedBowl) {
  const Minimum minimum = minimise_by_evolution([](const auto& x) { return bowl(x, 10); }, std::vector<double>(4, 5.0),
                                                {.step = 1, .evaluations = 3000, .seed = 1});
  EXPECT_LT(minimum.value, 1e-6);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(minimum.x[i], static_cast<double>(i), 1e-2);
}

TEST(Evolution, StaysWithinTheBoundAndNeverLeavesTheStartForWorse) {
  int evaluations = 0;
  const auto slope = [&](const std::vector<double>& x) {
    ++evaluations;
    EXPECT_LE(std::abs(x[0]), 1.5);
    return -x[0];
  };
  const Minimum minimum = minimise_by_evolution(slope, {0.0}, {.bound = 1.5, .evaluations = 200, .seed = 2});
  EXPECT_GT(minimum.x[0], 1.4);
  EXPECT_LE(evaluations, 200);
  const Minimum stays =
      minimise_by_evolution([](const auto& x) { return std::abs(x[0]); }, {0.0}, {.evaluations = 50, .seed = 3});
  EXPECT_EQ(stays.x[0], 0);
}

TEST(Evolution, IsTheSameForTheSameSeed) {
  const auto search = [](uint64_t seed) {
    return minimise_by_evolution([](const auto& x) { return bowl(x, 3); }, {1.0, 1.0, 1.0},
                                 {.evaluations = 30, .seed = seed})
        .x;
  };
  EXPECT_EQ(search(1), search(1));
  EXPECT_NE(search(1), search(2));
}

}  // namespace
}  // namespace moelora::train
