// Against closed forms and values worked out by hand.
#include "compare/statistics.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

namespace moelora::compare {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(Spread, IsTheSamplesMeanAndDeviation) {
  const std::vector<double> values = {2, 4, 4, 4, 5, 5, 7, 9};  // sum of squared distances from 5: 32
  const Spread spread = spread_of(values);
  EXPECT_DOUBLE_EQ(spread.mean, 5);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(32.0 / 7));
  EXPECT_EQ(spread_of(std::vector{3.0}).deviation, 0);
}

TEST(Holm, IsStepDownAndMonotone) {
  // Sorted .005 .01 .03 .04: 4, 3, 2, 1 times: .02 .03 .06 .04, and no smaller than the one before: .06.
  EXPECT_THAT(
      holm(std::vector{0.01, 0.04, 0.03, 0.005}),
      ElementsAre(DoubleNear(0.03, 1e-12), DoubleNear(0.06, 1e-12), DoubleNear(0.06, 1e-12), DoubleNear(0.02, 1e-12)));
  EXPECT_THAT(holm(std::vector{0.6, 0.9}), ElementsAre(1.0, 1.0));
  EXPECT_THAT(holm(std::vector<double>{}), ElementsAre());
}

TEST(Quantile, IsLinearBetweenNeighbours) {
  const std::vector<double> sorted = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(quantile(sorted, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.5), 3);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.9), 6.8);  // place 2.7
  EXPECT_DOUBLE_EQ(quantile(sorted, 1), 8);
}

TEST(Bootstrap, PValueCountsItself) {
  std::vector<double> all_above(999, 1.0);
  EXPECT_DOUBLE_EQ(summarise_bootstrap(1, all_above).p, 2.0 / 1000);
  all_above[0] = all_above[1] = -1;
  EXPECT_DOUBLE_EQ(summarise_bootstrap(1, all_above).p, 6.0 / 1000);
  EXPECT_DOUBLE_EQ(summarise_bootstrap(0, std::vector<double>(99, 0.0)).p, 1);
}

TEST(Draw, IsWithReplacementAndItsMeanHasTheKnownVariance) {
  // The mean of n values drawn with replacement has variance s² / n with s² the population's variance.
  const std::vector<double> values = {1, 2, 3, 4, 10};
  const double mean = 4, variance = (9 + 4 + 1 + 0 + 36) / 5.0;
  double sum = 0, squares = 0;
  constexpr int kResamples = 20000;
  for (uint64_t i = 0; i < kResamples; ++i) {
    const std::vector<int64_t> counts = draw_with_replacement(5, /*seed=*/1, i, /*stratum=*/3);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 5);
    double drawn = 0;
    for (size_t k = 0; k < 5; ++k) drawn += static_cast<double>(counts[k]) * values[k] / 5;
    sum += drawn / kResamples;
    squares += (drawn - mean) * (drawn - mean) / kResamples;
  }
  EXPECT_NEAR(sum, mean, 0.05);
  EXPECT_NEAR(squares, variance / 5, 0.06);
  EXPECT_EQ(draw_with_replacement(5, 1, 7, 3), draw_with_replacement(5, 1, 7, 3));
  EXPECT_NE(draw_with_replacement(50, 1, 7, 3), draw_with_replacement(50, 1, 7, 4));
}

}  // namespace
}  // namespace moelora::compare
