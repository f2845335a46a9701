// A step's loss and gradients are those of its samples, however they are packed.
#include "train/step.h"

#include <gmock/gmock.h>

#include <numeric>

#include "made_run.h"
#include "support/gradcheck.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

std::vector<data::Draw> all_draws(const RunSetup& setup) {
  std::vector<data::Draw> draws;
  for (int64_t i = 0; i < setup.train_rows->size(); ++i) draws.push_back({.sample = i, .key = i});
  return draws;
}

struct Gradients {
  StepLoss loss;
  size_t packs = 0;
  std::vector<NamedTensor> tensors;
};

Gradients gradients(const RunSetup& setup, const data::PackOptions& pack, bool dropout) {
  const data::StepBatches batches = data::pack(*setup.train_rows, all_draws(setup), pack);
  AdamW(trained_parameters(setup.model), {}).zero_gradients();
  Gradients result{.loss = accumulate_gradients(setup.model, batches, {.dropout = dropout}),
                   .packs = batches.packs.size(),
                   .tensors = {}};
  for (const auto& [name, master] : trained_parameters(setup.model))
    result.tensors.emplace_back(name, master.grad().clone());
  return result;
}

class Accumulation : public ::testing::TestWithParam<config::LossNormalisation> {};

TEST_P(Accumulation, OverSeveralPacksEqualsOnePack) {
  for (const bool dropout : {false, true}) {
    MadeRun made;
    made.config.adapter.dropout = 0.3;
    const RunSetup setup = made.setup();
    moelora::testing::randomise(setup);
    const Gradients one = gradients(setup, {.tokens_per_batch = 100'000, .normalisation = GetParam()}, dropout);
    const Gradients many = gradients(setup, {.tokens_per_batch = 80, .normalisation = GetParam()}, dropout);
    ASSERT_EQ(one.packs, 1u);
    ASSERT_GE(many.packs, 5u);
    EXPECT_NEAR(many.loss.objective, one.loss.objective, 1e-6);
    for (size_t t = 0; t < 2; ++t) {
      EXPECT_EQ(many.loss.tasks[t].tokens, one.loss.tasks[t].tokens);
      EXPECT_NEAR(many.loss.tasks[t].mean(), one.loss.tasks[t].mean(), 1e-5);
    }
    for (size_t i = 0; i < one.tensors.size(); ++i) {
      EXPECT_LE(test::relative_difference(many.tensors[i].second, one.tensors[i].second), 1e-4) << one.tensors[i].first;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryNormalisation, Accumulation,
                         ::testing::Values(config::LossNormalisation::kToken, config::LossNormalisation::kSample,
                                           config::LossNormalisation::kTask));

/// Mean loss of one sample, alone.
double mean_loss(const RunSetup& setup, int64_t sample) {
  const data::Draw draw{.sample = sample, .key = sample};
  return loss_of(setup.model, data::pack(*setup.train_rows, {&draw, 1}, {})).total().mean();
}

TEST(StepLoss, IsTheMeanOfItsUnits) {
  const MadeRun made;
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup);
  const data::EncodedRows& rows = *setup.train_rows;
  double tokens = 0, by_token = 0, by_sample = 0;
  std::vector<double> task_sums(2), task_tokens(2);
  for (int64_t i = 0; i < rows.size(); ++i) {
    const double loss = mean_loss(setup, i), count = static_cast<double>(rows.supervised(i));
    tokens += count;
    by_token += loss * count;
    by_sample += loss / static_cast<double>(rows.size());
    task_sums[rows.task(i)] += loss * count;
    task_tokens[rows.task(i)] += count;
  }
  const double by_task = 0.5 * (task_sums[0] / task_tokens[0] + task_sums[1] / task_tokens[1]);
  using config::LossNormalisation;
  for (const auto& [normalisation, expected] : {std::pair{LossNormalisation::kToken, by_token / tokens},
                                                {LossNormalisation::kSample, by_sample},
                                                {LossNormalisation::kTask, by_task}}) {
    const StepLoss loss = loss_of(
        setup.model, data::pack(rows, all_draws(setup), {.tokens_per_batch = 100, .normalisation = normalisation}));
    EXPECT_NEAR(loss.objective, expected, 1e-5);
  }
  EXPECT_GT(std::abs(by_token / tokens - by_sample), 1e-4);  // else the three couldn't be told apart
}

TEST(StepLoss, DropoutChangesItAndItsSeedDecidesIt) {
  MadeRun made;
  made.config.adapter.dropout = 0.3;
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup);
  const double dropped = gradients(setup, {}, true).loss.objective;
  EXPECT_EQ(gradients(setup, {}, true).loss.objective, dropped);
  EXPECT_NE(gradients(setup, {}, false).loss.objective, dropped);
}

TEST(StepLoss, RecomputedGradientsAreTheSame) {
  MadeRun made;
  made.config.adapter.dropout = 0.3;
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup);
  const Gradients kept = gradients(setup, {}, true);
  for (const nn::Recompute recompute : {nn::Recompute::kMlp, nn::Recompute::kFull}) {
    AdamW(trained_parameters(setup.model), {}).zero_gradients();
    accumulate_gradients(setup.model, data::pack(*setup.train_rows, all_draws(setup), {}),
                         {.dropout = true, .recompute = recompute});
    size_t i = 0;
    for (const auto& [name, master] : trained_parameters(setup.model)) {
      EXPECT_LE(test::relative_difference(master.grad(), kept.tensors[i++].second), 1e-5) << name;
    }
  }
}

}  // namespace
}  // namespace moelora::train
