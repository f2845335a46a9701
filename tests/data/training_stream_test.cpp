#include "data/training_stream.h"

#include <gmock/gmock.h>

#include "data/made_files.h"
#include "data/made_rows.h"

namespace moelora::data {
namespace {

StreamOptions options(int64_t prefetch = 2) {
  return {.sampler = {.seed = 9, .temperature = 2, .batch_size = 6},
          .pack = {.tokens_per_batch = 128},
          .prefetch_steps = prefetch};
}

std::shared_ptr<const EncodedRows> rows() {
  return std::make_shared<EncodedRows>(made_tasks({25, 4}));
}

void expect_same(const StepBatches& a, const StepBatches& b) {
  EXPECT_EQ(a.cursor, b.cursor);
  ASSERT_EQ(a.packs.size(), b.packs.size());
  for (size_t i = 0; i < a.packs.size(); ++i) {
    EXPECT_EQ(a.packs[i].ids, b.packs[i].ids);
    EXPECT_EQ(a.packs[i].sample_keys, b.packs[i].sample_keys);
    EXPECT_EQ(a.packs[i].weights, b.packs[i].weights);
  }
}

TEST(TrainingStream, GivesTheStepsOfTheSamplerInOrder) {
  TrainingStream stream(rows(), options());
  const Sampler& sampler = stream.sampler();
  Cursor cursor;
  for (int i = 0; i < 13; ++i) {
    EXPECT_EQ(stream.cursor(), cursor);
    const StepBatches step = stream.next();
    StepBatches expected = pack(*rows(), sampler.step(sampler.epoch(cursor.epoch), cursor.step), options().pack);
    expected.cursor = cursor;
    expect_same(step, expected);
    cursor = sampler.after(cursor);
  }
  EXPECT_EQ(cursor, (Cursor{2, 3}));
}

TEST(TrainingStream, ResumesAnywhereWithWhateverPrefetch) {
  TrainingStream whole(rows(), options());
  for (int done = 0; done < 12; ++done) {
    const Cursor at = whole.cursor();
    TrainingStream resumed(rows(), options(1 + done % 5), at);
    EXPECT_EQ(resumed.cursor(), at);
    expect_same(whole.next(), resumed.next());
  }
}

TEST(TrainingStream, LeavesATasksDrawsOutAndTheOthersAsTheyAre) {
  StreamOptions alone = options();
  alone.without = {true, false};
  TrainingStream whole(rows(), options()), rest(rows(), alone);
  int64_t idle = 0, drawn = 0;
  for (int i = 0; i < 10; ++i) {
    const StepBatches all = whole.next(), left = rest.next();
    EXPECT_EQ(left.cursor, all.cursor);
    std::vector<int64_t> expected, found;  // keys, which name the draws
    for (const PackedBatch& pack : all.packs) {
      for (size_t s = 0; s < pack.tasks.size(); ++s) {
        if (pack.tasks[s] == 1) expected.push_back(pack.sample_keys[s]);
      }
    }
    double weight = 0;
    for (const PackedBatch& pack : left.packs) {
      found.insert(found.end(), pack.sample_keys.begin(), pack.sample_keys.end());
      for (const float part : pack.weights) weight += part;
    }
    EXPECT_THAT(found, testing::UnorderedElementsAreArray(expected));
    EXPECT_EQ(left.tasks.size(), 2u);
    EXPECT_NEAR(weight, expected.empty() ? 0 : 1, 1e-6);
    idle += left.packs.empty() ? 1 : 0;
    drawn += static_cast<int64_t>(found.size());
  }
  EXPECT_GT(idle, 0) << "no step without a row of the smaller task: the test shows less than it says";
  EXPECT_GT(drawn, 0);
}

TEST(TrainingStream, CanBeDroppedAtAnyTime) {
  for (int taken = 0; taken < 20; ++taken) {
    TrainingStream stream(rows(), options(1));
    for (int i = 0; i < taken; ++i) stream.next();
  }
}

TEST(TrainingStream, WhatPreparingThrowsIsThrownToTheCaller) {
  StreamOptions bad = options();
  bad.pack.tokens_per_batch = 0;
  TrainingStream stream(rows(), bad);
  EXPECT_THAT(thrown([&] { stream.next(); }), testing::HasSubstr("train.tokens_per_batch"));
  EXPECT_THAT(thrown([&] { stream.next(); }), testing::HasSubstr("train.tokens_per_batch"));
}

TEST(TrainingStream, ACursorOutsideTheEpochIsAnError) {
  EXPECT_THAT(thrown([] { TrainingStream(rows(), options(), {0, 5}); }), testing::HasSubstr("step 5"));
  EXPECT_THAT(thrown([] { TrainingStream(rows(), options(), {-1, 0}); }), testing::HasSubstr("outside the epoch"));
}

}  // namespace
}  // namespace moelora::data
