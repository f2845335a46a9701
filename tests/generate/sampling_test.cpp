// Draws follow the distribution that the logits and the settings define (a closed form), and are decided by their
// names.
#include "generate/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "core/error.h"
#include "support/fixture.h"

namespace moelora::generate {
namespace {

constexpr int64_t kDraws = 20000;
const std::vector<float> kLogits = {1.5f, -0.5f, 2.0f, 0.0f, 2.0f, -30.0f};

std::map<int32_t, int64_t> draw(const Sampling& sampling) {
  std::map<int32_t, int64_t> counts;
  for (int64_t i = 0; i < kDraws; ++i) ++counts[choose_token(kLogits, sampling, /*request=*/i / 100, /*step=*/i % 100)];
  return counts;
}

/// Pearson's statistic of the draws against softmax(logits / temperature) over `kept`.
double chi_square(const std::map<int32_t, int64_t>& counts, const std::vector<int32_t>& kept, double temperature) {
  double sum = 0, statistic = 0;
  for (const int32_t token : kept) sum += std::exp(kLogits[token] / temperature);
  for (const int32_t token : kept) {
    const double expected = kDraws * std::exp(kLogits[token] / temperature) / sum;
    const auto found = counts.find(token);
    const double difference = (found == counts.end() ? 0 : static_cast<double>(found->second)) - expected;
    statistic += difference * difference / expected;
  }
  return statistic;
}

std::vector<int32_t> tokens_of(const std::map<int32_t, int64_t>& counts) {
  std::vector<int32_t> tokens;
  for (const auto& [token, count] : counts) tokens.push_back(token);
  return tokens;
}

// Bounds: the 99.9 % quantiles of chi-square with as many degrees of freedom as there are tokens less one.

TEST(ChooseToken, DrawsFromTheSoftmaxAtEachTemperature) {
  for (const double temperature : {0.7, 1.0, 2.0}) {
    const auto counts = draw({.temperature = temperature});
    EXPECT_EQ(tokens_of(counts), (std::vector<int32_t>{0, 1, 2, 3, 4})) << "the last has a chance of 1e-8 or less";
    EXPECT_LT(chi_square(counts, {0, 1, 2, 3, 4}, temperature), 18.47) << temperature;
    EXPECT_GT(chi_square(counts, {0, 1, 2, 3, 4}, temperature * 1.2), 18.47) << "the test sees a wrong temperature";
  }
}

TEST(ChooseToken, TopKKeepsThoseNoWorseThanTheKth) {
  EXPECT_EQ(tokens_of(draw({.temperature = 1, .top_k = 1})), (std::vector<int32_t>{2, 4})) << "equal ones, both";
  const auto counts = draw({.temperature = 1, .top_k = 3});
  EXPECT_EQ(tokens_of(counts), (std::vector<int32_t>{0, 2, 4}));
  EXPECT_LT(chi_square(counts, {0, 2, 4}, 1), 13.82);
}

TEST(ChooseToken, TopPKeepsTheFewestThatReachIt) {
  // Probabilities at temperature 1: .354 (2), .354 (4), .215 (0), .048 (3), .029 (1).
  EXPECT_EQ(tokens_of(draw({.temperature = 1, .top_p = 0.35})), (std::vector<int32_t>{2}));
  EXPECT_EQ(tokens_of(draw({.temperature = 1, .top_p = 0.37})), (std::vector<int32_t>{2, 4}));
  const auto counts = draw({.temperature = 1, .top_p = 0.8});
  EXPECT_EQ(tokens_of(counts), (std::vector<int32_t>{0, 2, 4}));
  EXPECT_LT(chi_square(counts, {0, 2, 4}, 1), 13.82);
}

TEST(ChooseToken, TopPIsOfWhatTopKLeft) {
  // Of the two best each has half.
  EXPECT_EQ(tokens_of(draw({.temperature = 1, .top_k = 2, .top_p = 0.49})), (std::vector<int32_t>{2}));
  EXPECT_EQ(tokens_of(draw({.temperature = 1, .top_k = 2, .top_p = 0.51})), (std::vector<int32_t>{2, 4}));
}

TEST(ChooseToken, MinPIsAShareOfTheBestOnesProbability) {
  // Relative to the best: 1, 1, .607 (0), .135 (3), .082 (1).
  EXPECT_EQ(tokens_of(draw({.temperature = 1, .min_p = 0.13})), (std::vector<int32_t>{0, 2, 3, 4}));
  EXPECT_EQ(tokens_of(draw({.temperature = 1, .min_p = 0.14})), (std::vector<int32_t>{0, 2, 4}));
  EXPECT_EQ(tokens_of(draw({.temperature = 2, .min_p = 0.14})), (std::vector<int32_t>{0, 1, 2, 3, 4}))
      << "after the temperature";
}

TEST(PenaliseRepetitions, MakesWhatStandsThereLessLikelyWhateverItsSign) {
  std::vector<float> logits = {3, -3, 3, -3};
  penalise_repetitions(logits, std::vector<int32_t>{0, 1}, 1.5);
  EXPECT_EQ(logits, (std::vector<float>{2, -4.5f, 3, -3}));
}

// 100,000 draws of each case against the probabilities of transformers' processors in generate()'s own order.
class AsTransformers : public ::testing::TestWithParam<int> {};

TEST_P(AsTransformers, DrawsFollowTheProcessorsDistribution) {
  constexpr int64_t kMany = 100000;
  const testing::Oracle oracle("sampling/oracle.safetensors");
  const std::string name = std::to_string(GetParam());
  const at::Tensor given = oracle["logits." + name], settings = oracle["settings." + name],
                   probabilities = oracle["probabilities." + name].contiguous();
  std::vector<float> logits(given.const_data_ptr<float>(), given.const_data_ptr<float>() + given.numel());
  const double* values = settings.const_data_ptr<double>();
  const Sampling sampling{.temperature = values[1],
                          .top_k = static_cast<int64_t>(values[2]),
                          .top_p = values[3],
                          .min_p = values[4],
                          .repetition_penalty = values[0]};
  const std::vector<int64_t> sequence = testing::values(oracle["seen." + name]);
  const std::set<int32_t> seen(sequence.begin(), sequence.end());
  penalise_repetitions(logits, std::vector<int32_t>(seen.begin(), seen.end()), sampling.repetition_penalty);

  std::vector<int64_t> counts(logits.size());
  for (int64_t i = 0; i < kMany; ++i) ++counts[choose_token(logits, sampling, i / 1000, i % 1000)];
  // Cells that expect fewer than five draws are one cell.
  double statistic = 0, rest_expected = 0;
  int64_t rest_found = 0, cells = 0;
  const auto add = [&](double expected, int64_t found) {
    statistic += (static_cast<double>(found) - expected) * (static_cast<double>(found) - expected) / expected;
    ++cells;
  };
  for (size_t token = 0; token < counts.size(); ++token) {
    const double expected = kMany * probabilities.const_data_ptr<double>()[token];
    if (expected == 0) {
      EXPECT_EQ(counts[token], 0) << "token " << token << " is ruled out";
    } else if (expected < 5) {
      rest_expected += expected;
      rest_found += counts[token];
    } else {
      add(expected, counts[token]);
    }
  }
  if (rest_expected > 0) add(rest_expected, rest_found);
  // The 99.99 % quantile of chi-square (Wilson and Hilferty's approximation).
  const double freedom = std::max<double>(1, static_cast<double>(cells) - 1);
  const double bound = freedom * std::pow(1 - 2 / (9 * freedom) + 3.719 * std::sqrt(2 / (9 * freedom)), 3);
  EXPECT_LT(statistic, bound) << cells << " cells";
}

INSTANTIATE_TEST_SUITE_P(Settings, AsTransformers, ::testing::Range(0, 13));

TEST(ChooseToken, GreedyTakesTheBestAndOfEqualOnesTheLowerId) {
  EXPECT_EQ(choose_token(kLogits, {}, 0, 0), 2);
  EXPECT_EQ(choose_token(kLogits, {.temperature = 0, .top_k = 5, .top_p = 0.1, .seed = 9}, 3, 4), 2);
  const float nothing = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(choose_token(std::vector<float>{nothing, -2.0f, nothing}, {}, 0, 0), 1);
}

TEST(ChooseToken, ADrawIsDecidedBySeedRequestAndStep) {
  const auto sequence = [](uint64_t seed, int64_t request) {
    std::vector<int32_t> tokens;
    for (int64_t step = 0; step < 50; ++step)
      tokens.push_back(choose_token(kLogits, {.temperature = 1, .seed = seed}, request, step));
    return tokens;
  };
  EXPECT_EQ(sequence(1, 1), sequence(1, 1));
  EXPECT_NE(sequence(1, 1), sequence(2, 1));
  EXPECT_NE(sequence(1, 1), sequence(1, 2));
  const std::vector<int32_t> one = sequence(1, 1);
  EXPECT_GT(std::set<int32_t>(one.begin(), one.end()).size(), 1u) << "steps differ too";
}

TEST(ChooseToken, LogitsThatArentFiniteAreAnError) {
  const float infinite = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> damaged = {
      {1, std::nanf(""), 2}, {std::nanf(""), 1}, {1, infinite}, {-infinite, -infinite}};
  for (const std::vector<float>& logits : damaged) {
    for (const double temperature : {0.0, 1.0}) {
      try {
        choose_token(logits, {.temperature = temperature}, 7, 0);
        FAIL() << "took " << logits[0] << ", " << logits[1];
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
        EXPECT_NE(std::string(error.what()).find("request 7"), std::string::npos);
      }
    }
  }
}

TEST(CheckSampling, RefusesWhatIsNoDistribution) {
  const double nan = std::nan("");
  for (const Sampling& sampling :
       {Sampling{.temperature = -1}, Sampling{.temperature = nan}, Sampling{.top_k = -1}, Sampling{.top_p = 0},
        Sampling{.top_p = 1.5}, Sampling{.top_p = nan}, Sampling{.min_p = -0.1}, Sampling{.min_p = 1.1},
        Sampling{.repetition_penalty = 0}, Sampling{.repetition_penalty = nan}}) {
    EXPECT_THROW(check_sampling(sampling, "request"), Error);
  }
  EXPECT_NO_THROW(check_sampling({.temperature = 2, .top_k = 1, .top_p = 1}, "request"));
}

}  // namespace
}  // namespace moelora::generate
