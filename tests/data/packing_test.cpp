#include "data/packing.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "data/made_rows.h"

namespace moelora::data {
namespace {

using config::LossNormalisation;
using testing::ElementsAre;
using testing::FloatEq;

double sum_of_weights(const StepBatches& step) {
  double sum = 0;
  for (const PackedBatch& batch : step.packs) {
    for (const float weight : batch.weights) sum += weight;
  }
  return sum;
}

TEST(Packing, OneSampleIsLaidOutAsDocumented) {
  const EncodedRows rows = made_encoded({{0, 3, 2}}, 1);  // ids 0 1 2 | 3 4
  const StepBatches step = pack(rows, std::vector<Draw>{{0, 42}}, {});
  ASSERT_EQ(step.packs.size(), 1u);
  const PackedBatch& batch = step.packs[0];
  EXPECT_THAT(batch.ids, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(batch.positions, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(batch.cu_seqlens, ElementsAre(0, 4));
  EXPECT_THAT(batch.tasks, ElementsAre(0));
  EXPECT_THAT(batch.sample_keys, ElementsAre(42));
  EXPECT_THAT(batch.supervised_rows, ElementsAre(2, 3));
  EXPECT_THAT(batch.targets, ElementsAre(3, 4));
  EXPECT_THAT(batch.supervised_samples, ElementsAre(0, 0));
  EXPECT_THAT(batch.weights, ElementsAre(FloatEq(0.5), FloatEq(0.5)));
}

TEST(Packing, ATextWithoutPromptPredictsAllButItsFirstToken) {
  const EncodedRows rows = made_encoded({{0, 0, 4}}, 1);
  const PackedBatch batch = pack_range(rows, 0, rows.size(), {}).packs.at(0);
  EXPECT_THAT(batch.ids, ElementsAre(0, 1, 2));
  EXPECT_THAT(batch.supervised_rows, ElementsAre(0, 1, 2));
  EXPECT_THAT(batch.targets, ElementsAre(1, 2, 3));
}

class PackingProperties : public testing::TestWithParam<std::tuple<int64_t, LossNormalisation>> {};

TEST_P(PackingProperties, HoldForEveryStepOfAnEpoch) {
  const auto [budget, normalisation] = GetParam();
  const EncodedRows rows = made_tasks({60, 5, 31});
  const Sampler sampler(rows, {.seed = 3, .temperature = 2, .batch_size = 16});
  const std::vector<Draw> draws = sampler.epoch(1);
  std::multiset<int64_t> expected_keys;
  std::multiset<int64_t> keys;
  for (const Draw& draw : draws) expected_keys.insert(draw.key);
  for (int64_t number = 0; number < sampler.steps_per_epoch(); ++number) {
    const std::span<const Draw> members = sampler.step(draws, number);
    const StepBatches step = pack(rows, members, {.tokens_per_batch = budget, .normalisation = normalisation});
    EXPECT_NEAR(sum_of_weights(step), 1, 1e-6);
    std::map<int64_t, int64_t> sample_of_key;
    for (const Draw& draw : members) sample_of_key[draw.key] = draw.sample;
    int64_t tokens = 0;
    for (size_t p = 0; p < step.packs.size(); ++p) {
      const PackedBatch& batch = step.packs[p];
      tokens += batch.tokens();
      EXPECT_TRUE(batch.tokens() <= budget || batch.samples() == 1);
      ASSERT_EQ(batch.cu_seqlens.size(), static_cast<size_t>(batch.samples()) + 1);
      EXPECT_EQ(batch.cu_seqlens.front(), 0);
      EXPECT_EQ(batch.cu_seqlens.back(), batch.tokens());
      ASSERT_EQ(batch.positions.size(), batch.ids.size());
      ASSERT_EQ(batch.targets.size(), batch.supervised_rows.size());
      ASSERT_EQ(batch.weights.size(), batch.supervised_rows.size());
      EXPECT_TRUE(std::ranges::is_sorted(batch.supervised_rows));
      size_t k = 0;
      for (int64_t s = 0; s < batch.samples(); ++s) {
        keys.insert(batch.sample_keys[s]);
        const int64_t sample = sample_of_key.at(batch.sample_keys[s]);
        EXPECT_EQ(step.pack_samples[p][s], sample);
        EXPECT_EQ(batch.tasks[s], rows.task(sample));
        const std::span<const int32_t> ids = rows.ids(sample);
        const int64_t begin = batch.cu_seqlens[s];
        ASSERT_EQ(batch.cu_seqlens[s + 1] - begin, static_cast<int64_t>(ids.size()) - 1);
        for (int64_t i = 0; i + 1 < static_cast<int64_t>(ids.size()); ++i) {
          EXPECT_EQ(batch.ids[begin + i], ids[i]);
          EXPECT_EQ(batch.positions[begin + i], i);
          if (i + 1 < static_cast<int64_t>(rows.prompt(sample).size())) continue;
          ASSERT_LT(k, batch.supervised_rows.size());
          EXPECT_EQ(batch.supervised_rows[k], begin + i);
          EXPECT_EQ(batch.targets[k], ids[i + 1]);
          EXPECT_EQ(batch.supervised_samples[k], s);
          ++k;
        }
      }
      EXPECT_EQ(k, batch.supervised_rows.size());
    }
    EXPECT_EQ(tokens, step.tokens);
  }
  EXPECT_EQ(keys, expected_keys) << "a sample was lost or doubled";
}

INSTANTIATE_TEST_SUITE_P(Packing, PackingProperties,
                         testing::Combine(testing::Values(1, 30, 64, 200, 100000),
                                          testing::Values(LossNormalisation::kToken, LossNormalisation::kSample,
                                                          LossNormalisation::kTask)));

TEST(Packing, ATasksWeightCountsItsTokensSamplesOrShareAsOftenAsItSays) {
  // Task 0: answers of 1 and 3 tokens; task 1: one of 4; weights 3 and 1, and 5 for task 2, which is absent.
  const EncodedRows rows = made_encoded({{0, 5, 1}, {0, 5, 3}, {1, 5, 4}}, 3);
  const auto weight_of_tasks = [&](LossNormalisation normalisation) {
    const StepBatches step =
        pack_range(rows, 0, rows.size(), {.normalisation = normalisation, .task_weights = {3, 1, 5}});
    EXPECT_NEAR(sum_of_weights(step), 1, 1e-6);
    return std::vector<double>{step.tasks[0].weight, step.tasks[1].weight, step.tasks[2].weight};
  };
  const auto near = [](double value) { return testing::DoubleNear(value, 1e-12); };
  EXPECT_THAT(weight_of_tasks(LossNormalisation::kToken), ElementsAre(near(3 * 4 / 16.0), near(4 / 16.0), 0));
  EXPECT_THAT(weight_of_tasks(LossNormalisation::kSample), ElementsAre(near(3 * 2 / 7.0), near(1 / 7.0), 0));
  EXPECT_THAT(weight_of_tasks(LossNormalisation::kTask), ElementsAre(near(3 / 4.0), near(1 / 4.0), 0));
}

TEST(Packing, EqualTaskWeightsChangeNothing) {
  const EncodedRows rows = made_tasks({20, 5, 9});
  for (const LossNormalisation normalisation :
       {LossNormalisation::kToken, LossNormalisation::kSample, LossNormalisation::kTask}) {
    const StepBatches plain = pack_range(rows, 0, rows.size(), {.normalisation = normalisation});
    const StepBatches equal =
        pack_range(rows, 0, rows.size(), {.normalisation = normalisation, .task_weights = {1, 1, 1}});
    for (size_t p = 0; p < plain.packs.size(); ++p) EXPECT_EQ(plain.packs[p].weights, equal.packs[p].weights);
  }
}

TEST(Packing, WeightsFollowTheNormalisation) {
  // Task 0: answers of 1 and 3 tokens; task 1: one of 4. Task 2 is absent.
  const EncodedRows rows = made_encoded({{0, 5, 1}, {0, 5, 3}, {1, 5, 4}}, 3);
  const auto weight_of_samples = [&](LossNormalisation normalisation) {
    const StepBatches step = pack_range(rows, 0, rows.size(), {.normalisation = normalisation});
    std::vector<double> weights(3);
    for (size_t p = 0; p < step.packs.size(); ++p) {
      const PackedBatch& batch = step.packs[p];
      for (size_t k = 0; k < batch.weights.size(); ++k)
        weights[step.pack_samples[p][batch.supervised_samples[k]]] += batch.weights[k];
    }
    return weights;
  };
  const auto near = [](double value) { return testing::DoubleNear(value, 1e-7); };
  EXPECT_THAT(weight_of_samples(LossNormalisation::kToken), ElementsAre(near(1.0 / 8), near(3.0 / 8), near(4.0 / 8)));
  EXPECT_THAT(weight_of_samples(LossNormalisation::kSample), ElementsAre(near(1.0 / 3), near(1.0 / 3), near(1.0 / 3)));
  EXPECT_THAT(weight_of_samples(LossNormalisation::kTask), ElementsAre(near(1.0 / 8), near(3.0 / 8), near(1.0 / 2)));
  const StepBatches step = pack_range(rows, 0, rows.size(), {.normalisation = LossNormalisation::kTask});
  EXPECT_EQ(step.tasks[0].supervised_tokens, 4);
  EXPECT_EQ(step.tasks[0].samples, 2);
  EXPECT_NEAR(step.tasks[0].weight, 0.5, 1e-12);
  EXPECT_NEAR(step.tasks[1].weight, 0.5, 1e-12);
  EXPECT_EQ(step.tasks[2].samples, 0);
  EXPECT_EQ(step.supervised_tokens, 8);
}

TEST(Packing, FillsPacksByFallingLength) {
  // Inputs of 7, 6, 3, 2, 2 tokens into 10: (7, 3), (6, 2, 2).
  const EncodedRows rows = made_encoded({{0, 2, 1}, {0, 6, 1}, {0, 3, 1}, {0, 7, 1}, {0, 2, 1}}, 1);
  const StepBatches step = pack_range(rows, 0, rows.size(), {.tokens_per_batch = 10});
  EXPECT_THAT(step.pack_samples, ElementsAre(ElementsAre(3, 2), ElementsAre(1, 0, 4)));
}

}  // namespace
}  // namespace moelora::data
