// The paired hierarchical bootstrap on results whose differences are known.
#include "compare/significance.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "core/random.h"

namespace moelora::compare {
namespace {

/// Scores drawn around `mean`; two rows a group.
Result made(uint64_t seed, double mean, int64_t rows = 200) {
  Result result{.variant = "made", .seed = seed};
  Random random(seed, RandomStream::kData);
  for (const std::string name : {"a", "b"}) {
    TaskResult task{.task = name, .metric = "exact_match"};
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const double score = mean + 0.1 * random.normal();
      task.rows.push_back({.score = score});
      task.groups.push_back((i + static_cast<int64_t>(result.tasks.size()) * rows) / 2);
      sum += score;
    }
    task.score = sum / static_cast<double>(rows);
    result.tasks.push_back(std::move(task));
  }
  return result;
}

std::vector<Result> seeds(double mean, uint64_t first = 0) {
  std::vector<Result> all;
  for (uint64_t s = 1; s <= 5; ++s) {
    all.push_back(made(first + s, mean));
    all.back().seed = s;
  }
  return all;
}

TEST(Difference, OfTheSameResultsIsNone) {
  const Difference none = bootstrap_difference(seeds(0.5), seeds(0.5), 200, /*seed=*/1);
  EXPECT_EQ(none.mean.estimate, 0);
  EXPECT_EQ(none.mean.low, 0);
  EXPECT_EQ(none.mean.high, 0);
  EXPECT_EQ(none.mean.p, 1);
}

TEST(Difference, ThatIsLargeIsFoundWithItsSign) {
  const Difference better =
      bootstrap_difference(seeds(0.6), seeds(0.5), 500, /*seed=*/1);  // the same noise: paired, exactly 0.1
  EXPECT_NEAR(better.mean.estimate, 0.1, 1e-12);
  EXPECT_NEAR(better.mean.low, 0.1, 1e-12);
  EXPECT_DOUBLE_EQ(better.mean.p, 2.0 / 501);
  EXPECT_NEAR(bootstrap_difference(seeds(0.5), seeds(0.6), 500, 1).mean.estimate, -0.1, 1e-12);
}

TEST(Difference, OfOneSeedHasTheStandardErrorOfGroupMeans) {
  // One seed, one task: the bootstrap of a mean over groups, whose standard deviation is s_group / sqrt(groups).
  std::vector<Result> own = {made(1, 0.5)}, other = {made(2, 0.5)};
  own[0].tasks.resize(1);
  other[0].tasks.resize(1);
  std::vector<double> groups(100, 0.0);
  for (size_t i = 0; i < 200; ++i)
    groups[i / 2] += (own[0].tasks[0].rows[i].score - other[0].tasks[0].rows[i].score) / 2;
  double mean = 0, squares = 0;
  for (const double g : groups) mean += g / 100;
  for (const double g : groups) squares += (g - mean) * (g - mean) / 100;
  const double error = std::sqrt(squares / 100);
  const Difference found = bootstrap_difference(own, other, 4000, /*seed=*/1);
  EXPECT_NEAR(found.mean.estimate, mean, 1e-12);
  EXPECT_NEAR((found.mean.high - found.mean.low) / 2, 1.96 * error, 0.1 * 1.96 * error);
}

TEST(Difference, OfSeedsThatDoNotDifferIsAsUncertainAsOneSeeds) {
  // Which rows the test has is an error that all seeds share: four seeds alike know no more than one.
  const std::vector<Result> own = {made(1, 0.5)}, other = {made(2, 0.5)};
  const std::vector<Result> own_four(4, own[0]), other_four(4, other[0]);
  const Difference one = bootstrap_difference(own, other, 4000, /*seed=*/1);
  const Difference four = bootstrap_difference(own_four, other_four, 4000, /*seed=*/2);
  const double width = one.mean.high - one.mean.low;
  EXPECT_NEAR(four.mean.high - four.mean.low, width, 0.1 * width);
  const double of_task = one.tasks[1].high - one.tasks[1].low;
  EXPECT_NEAR(four.tasks[1].high - four.tasks[1].low, of_task, 0.1 * of_task);
}

TEST(Difference, OfGroupsThatStandInSeveralTasksIsAsUncertainAsOneTasks) {
  // Three tasks alike over the same groups know no more than one.
  std::vector<Result> own = {made(1, 0.5)}, other = {made(2, 0.5)};
  for (std::vector<Result>* results : {&own, &other}) (*results)[0].tasks.resize(1);
  std::vector<Result> own_three = own, other_three = other;
  for (std::vector<Result>* results : {&own_three, &other_three}) {
    for (const std::string name : {"b", "c"}) {
      (*results)[0].tasks.push_back((*results)[0].tasks[0]);
      (*results)[0].tasks.back().task = name;
    }
  }
  const Difference one = bootstrap_difference(own, other, 4000, /*seed=*/1);
  const Difference three = bootstrap_difference(own_three, other_three, 4000, /*seed=*/2);
  const double width = one.mean.high - one.mean.low;
  EXPECT_NEAR(three.mean.high - three.mean.low, width, 0.1 * width);
  for (std::vector<Result>* results : {&own_three, &other_three}) {
    for (int64_t t = 0; t < 3; ++t) {
      for (int64_t& group : (*results)[0].tasks[t].groups) group += 1000 * t;
    }
  }
  const Difference apart = bootstrap_difference(own_three, other_three, 4000, /*seed=*/2);
  EXPECT_NEAR(apart.mean.high - apart.mean.low, width / std::sqrt(3), 0.1 * width)
      << "groups of their own: rows three times as many";
}

TEST(Difference, HasRowsOfEveryTaskInEveryResample) {
  // One group of two hundred is the second task's: most draws have it not at all.
  std::vector<Result> own = {made(1, 0.5)}, other = {made(1, 0.5)};
  for (std::vector<Result>* results : {&own, &other}) {
    TaskResult& second = (*results)[0].tasks[1];
    second.rows = {{.score = results == &own ? 1.0 : 0.0}};
    second.groups = {7};
    second.score = second.rows[0].score;
  }
  const Difference found = bootstrap_difference(own, other, 300, /*seed=*/1);
  EXPECT_EQ(found.tasks[1].low, 1);
  EXPECT_EQ(found.tasks[1].high, 1);
  EXPECT_EQ(found.mean.low, 0.5);
}

TEST(Difference, OfSeedsThatDifferHasTheirErrorToo) {
  // Every row of a seed differs by the same: the error is that of drawing two seeds of two, 0.1 or -0.1 on average.
  std::vector<Result> own = {made(1, 0.6), made(1, 0.4)}, other = {made(1, 0.5), made(1, 0.5)};
  const Difference found = bootstrap_difference(own, other, 1000, /*seed=*/1);
  EXPECT_NEAR(found.mean.low, -0.1, 1e-9);
  EXPECT_NEAR(found.mean.high, 0.1, 1e-9);
}

TEST(Differences, AreHeldAgainstTheReferenceOfTheSameSweepAndCorrected) {
  Comparison comparison{.spec = {.resamples = 200}};
  const auto add = [&](const std::string& name, const std::string& sweep, bool reference, double mean, uint64_t first) {
    comparison.variants.push_back({.variant = {.name = name, .method = name, .reference = reference, .sweep = sweep},
                                   .seeds = seeds(mean, first)});
  };
  add("moelora", "adapter.rank=4", true, 0.5, 0);
  add("lora", "adapter.rank=4", false, 0.7, 100);
  add("full", "adapter.rank=4", false, 0.5, 200);
  add("lora", "adapter.rank=8", false, 0.7, 100);
  const std::vector<std::optional<Difference>> found = differences(comparison);
  EXPECT_FALSE(found[0].has_value());
  EXPECT_FALSE(found[3].has_value());  // its reference isn't there
  ASSERT_TRUE(found[1] && found[2]);
  EXPECT_DOUBLE_EQ(found[1]->p_holm, std::min(1.0, 2 * found[1]->mean.p));
  EXPECT_GE(found[2]->p_holm, found[2]->mean.p);
  comparison.variants[1].seeds[2].tasks[0].groups[5] = 99;  // other rows can't be paired
  EXPECT_FALSE(differences(comparison)[1].has_value());
}

}  // namespace
}  // namespace moelora::compare
