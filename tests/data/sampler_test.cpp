#include "data/sampler.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <set>

#include "data/made_files.h"
#include "data/made_rows.h"
#include "data/training_stream.h"

namespace moelora::data {
namespace {

using testing::HasSubstr;

std::vector<int64_t> samples_of(const std::vector<Draw>& draws) {
  std::vector<int64_t> samples;
  for (const Draw& draw : draws) samples.push_back(draw.sample);
  return samples;
}

std::vector<int64_t> counts_by_task(const EncodedRows& rows, const std::vector<Draw>& draws) {
  std::vector<int64_t> counts(rows.task_count());
  for (const Draw& draw : draws) ++counts[rows.task(draw.sample)];
  return counts;
}

TEST(Sampler, AtTemperatureOneEveryRowComesOnceAnEpochInAnOrderOfItsOwn) {
  const EncodedRows rows = made_tasks({100, 7, 33});
  const Sampler sampler(rows, {.seed = 5, .batch_size = 8});
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<int64_t> samples = samples_of(sampler.epoch(epoch));
    orders.insert(samples);
    std::ranges::sort(samples);
    std::vector<int64_t> all(140);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(samples, all);
  }
  EXPECT_EQ(orders.size(), 5u);
}

TEST(Sampler, IsAPureFunctionOfSeedAndEpoch) {
  const EncodedRows rows = made_tasks({50, 9});
  const Sampler first(rows, {.seed = 1, .temperature = 3});
  const Sampler again(rows, {.seed = 1, .temperature = 3});
  const Sampler other(rows, {.seed = 2, .temperature = 3});
  again.epoch(0);
  EXPECT_EQ(samples_of(first.epoch(4)), samples_of(again.epoch(4)));
  EXPECT_NE(samples_of(first.epoch(4)), samples_of(first.epoch(5)));
  EXPECT_NE(samples_of(first.epoch(4)), samples_of(other.epoch(4)));
}

TEST(Sampler, GivenSharesStandInPlaceOfRowsAndTemperature) {
  const EncodedRows rows = made_tasks({900, 90, 10});
  const Sampler sampler(rows, {.seed = 11, .temperature = 3, .shares = {1, 1, 2}});
  EXPECT_THAT(sampler.expected_draws(), testing::ElementsAre(250, 250, 500));
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    EXPECT_THAT(counts_by_task(rows, sampler.epoch(epoch)), testing::ElementsAre(250, 250, 500));
    std::vector<int64_t> times(1000);  // 10 rows, 500 draws: each 50 times
    for (const Draw& draw : sampler.epoch(epoch)) ++times[draw.sample];
    for (int64_t sample = 990; sample < 1000; ++sample) EXPECT_EQ(times[sample], 50);
  }
}

TEST(SamplerOptions, TakeSharesOfAllTasksOrOfNone) {
  Dataset dataset;
  dataset.tasks = {{.name = "a"}, {.name = "b"}};
  EXPECT_TRUE(sampler_options({}, dataset).shares.empty());
  dataset.tasks[0].settings.share = 2;
  try {
    sampler_options({}, dataset);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.details().where, "tasks.b.share");
  }
  dataset.tasks[1].settings.share = 0.5;
  EXPECT_THAT(sampler_options({}, dataset).shares, testing::ElementsAre(2, 0.5));
}

TEST(StreamOptions, AreWhatTheConfigurationSaysOfTrainingAndOfEachTask) {
  Dataset dataset;
  dataset.tasks = {{.name = "a"}, {.name = "b"}};
  dataset.tasks[1].settings.weight = 0.25;
  config::TrainConfig config;
  config.seed = 5;
  config.temperature = 3;
  config.batch_size = 24;
  config.tokens_per_batch = 777;
  config.loss_normalisation = config::LossNormalisation::kSample;
  const StreamOptions options = stream_options(config, dataset);
  EXPECT_EQ(options.sampler.seed, 5u);
  EXPECT_EQ(options.sampler.temperature, 3);
  EXPECT_EQ(options.sampler.batch_size, 24);
  EXPECT_EQ(options.pack.tokens_per_batch, 777);
  EXPECT_EQ(options.pack.normalisation, config::LossNormalisation::kSample);
  EXPECT_THAT(options.pack.task_weights, testing::ElementsAre(1, 0.25));
}

TEST(Sampler, SharesFollowRowsToThePowerOfOneOverTemperature) {
  const std::vector<int64_t> sizes = {900, 90, 10};
  const EncodedRows rows = made_tasks(sizes);
  for (const double temperature : {0.5, 1.0, 2.0, 5.0, 1e9}) {
    const Sampler sampler(rows, {.seed = 11, .temperature = temperature});
    double total = 0;
    for (const int64_t size : sizes) total += std::pow(size, 1 / temperature);
    std::vector<double> mean(sizes.size());
    constexpr int kEpochs = 200;
    for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
      const std::vector<int64_t> counts = counts_by_task(rows, sampler.epoch(epoch));
      EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 1000);
      for (size_t task = 0; task < sizes.size(); ++task) {
        const double expected = 1000 * std::pow(sizes[task], 1 / temperature) / total;
        EXPECT_NEAR(counts[task], expected, 1) << "temperature " << temperature;
        mean[task] += static_cast<double>(counts[task]) / kEpochs;
      }
    }
    for (size_t task = 0; task < sizes.size(); ++task) {
      const double expected = 1000 * std::pow(sizes[task], 1 / temperature) / total;
      EXPECT_NEAR(sampler.expected_draws()[task], expected, 1e-9);
      EXPECT_NEAR(mean[task], expected, 0.15)
          << "temperature " << temperature;  // sd of the mean at most 0.5 / sqrt(200)
    }
  }
}

TEST(Sampler, RowsOfATaskAreDrawnEquallyOftenGiveOrTakeOne) {
  const EncodedRows rows = made_tasks({200, 7});
  const Sampler sampler(rows, {.temperature = 4});
  std::vector<int64_t> totals(207);
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    std::vector<int64_t> times(207);
    for (const Draw& draw : sampler.epoch(epoch)) ++times[draw.sample];
    const auto [low_a, high_a] = std::minmax_element(times.begin(), times.begin() + 200);
    const auto [low_b, high_b] = std::minmax_element(times.begin() + 200, times.end());
    EXPECT_LE(*high_a - *low_a, 1);
    EXPECT_LE(*high_b - *low_b, 1);
    for (size_t i = 0; i < times.size(); ++i) totals[i] += times[i];
  }
  EXPECT_GT(*std::min_element(totals.begin(), totals.end()), 0) << "a row is never drawn";
}

TEST(Sampler, KeysAreUniqueOverTheRun) {
  const EncodedRows rows = made_tasks({40, 3});
  const Sampler sampler(rows, {.temperature = 10});
  std::set<int64_t> keys;
  for (int64_t epoch = 0; epoch < 10; ++epoch) {
    for (const Draw& draw : sampler.epoch(epoch)) keys.insert(draw.key);
  }
  EXPECT_EQ(keys.size(), 430u);
}

TEST(Sampler, StepsCoverTheEpochInOrder) {
  const EncodedRows rows = made_tasks({10});
  const Sampler sampler(rows, {.batch_size = 4});
  ASSERT_EQ(sampler.steps_per_epoch(), 3);
  const std::vector<Draw> draws = sampler.epoch(2);
  Cursor cursor{2, 0};
  std::vector<int64_t> keys;
  for (; cursor.epoch == 2; cursor = sampler.after(cursor)) {
    for (const Draw& draw : sampler.step(draws, cursor.step)) keys.push_back(draw.key);
  }
  EXPECT_EQ(cursor, (Cursor{3, 0}));
  EXPECT_THAT(keys, testing::ElementsAre(20, 21, 22, 23, 24, 25, 26, 27, 28, 29));
}

TEST(Sampler, TasksWithoutSamplesTakeNoPart) {
  const EncodedRows rows = made_tasks({0, 20, 0, 4, 0});
  const std::vector<int64_t> counts = counts_by_task(rows, Sampler(rows, {.temperature = 2}).epoch(0));
  EXPECT_EQ(counts[0] + counts[2] + counts[4], 0);
  EXPECT_EQ(counts[1] + counts[3], 24);
}

TEST(Sampler, SupervisedSharesCountDrawsTimesAnswerTokens) {
  const EncodedRows rows = made_encoded({{0, 5, 2}, {0, 5, 4}, {1, 5, 9}}, 3);
  EXPECT_THAT(supervised_shares(rows, Sampler(rows, {})),
              testing::ElementsAre(testing::DoubleNear(6.0 / 15, 1e-12), testing::DoubleNear(9.0 / 15, 1e-12), 0.0));
  // Drawn equally often (1.5 draws each): 1.5 * 3 against 1.5 * 9.
  EXPECT_NEAR(supervised_shares(rows, Sampler(rows, {.temperature = 1e12}))[0], 0.25, 1e-9);
}

TEST(Sampler, ImpossibleOptionsAreErrors) {
  const EncodedRows rows = made_tasks({3});
  EXPECT_THAT(thrown([&] { Sampler(rows, {.temperature = 0}); }), HasSubstr("train.temperature"));
  EXPECT_THAT(thrown([&] { Sampler(rows, {.batch_size = 0}); }), HasSubstr("train.batch_size"));
  EXPECT_THAT(thrown([&] { Sampler(made_tasks({0}), {}); }), HasSubstr("no training sample"));
}

}  // namespace
}  // namespace moelora::data
