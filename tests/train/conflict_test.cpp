// The report of conflict is the cosine of the gradients that each task alone would have.
#include "train/conflict.h"

#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "made_run.h"
#include "train/finish.h"
#include "train/trainer.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

/// The gradient by all A and B [n], of these samples alone: their own packs, no other task in them.
at::Tensor gradient_of(const RunSetup& setup, const std::vector<data::Draw>& draws) {
  AdamW(trained_parameters(setup.model), {}).zero_gradients();
  accumulate_gradients(setup.model, data::pack(*setup.train_rows, draws, {.tokens_per_batch = 50}), {});
  std::vector<at::Tensor> parts;
  for (const auto& [name, master] : trained_parameters(setup.model)) {
    if (name.find("lora_") != std::string::npos) parts.push_back(master.grad().flatten().to(at::kDouble));
  }
  return at::cat(parts);
}

std::vector<data::Draw> draws_of(const RunSetup& setup, int64_t task) {
  std::vector<data::Draw> draws;
  for (int64_t i = 0; i < setup.train_rows->size(); ++i) {
    if (task < 0 || setup.train_rows->task(i) == task) draws.push_back({.sample = i, .key = i});
  }
  return draws;
}

TEST(Conflict, IsTheCosineOfTheGradientsThatTheTasksHaveAlone) {
  for (const config::Method method : {config::Method::kMoelora, config::Method::kLora}) {
    MadeRun made;
    made.config.adapter.method = method;
    const RunSetup setup = made.setup();
    moelora::testing::randomise(setup);
    const at::Tensor one = gradient_of(setup, draws_of(setup, 0));
    const at::Tensor other = gradient_of(setup, draws_of(setup, 1));
    const double expected = one.dot(other).item<double>() / (one.norm().item<double>() * other.norm().item<double>());
    ASSERT_LT(std::abs(expected), 0.999);

    AdamW(trained_parameters(setup.model), {}).zero_gradients();
    const data::StepBatches step = data::pack(*setup.train_rows, draws_of(setup, -1), {.tokens_per_batch = 80});
    const TaskConflict cosines = task_conflict(setup.model, step, {});
    EXPECT_NEAR(cosines[0][1].value(), expected, 1e-4);
    EXPECT_EQ(cosines[0][1], cosines[1][0]);
    EXPECT_NEAR(cosines[0][0].value(), 1, 1e-6);
  }
}

TEST(Conflict, SaysNothingOfATaskThatIsNotInTheStep) {
  MadeRun made;
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup);
  const TaskConflict cosines = task_conflict(setup.model, data::pack(*setup.train_rows, draws_of(setup, 0), {}), {});
  EXPECT_TRUE(cosines[0][0].has_value());
  EXPECT_FALSE(cosines[0][1].has_value());
  EXPECT_FALSE(cosines[1][1].has_value());
}

TEST(Conflict, IsReportedEveryNStepsAndChangesNothing) {
  std::vector<NamedTensor> trained[2];
  for (const bool reports : {false, true}) {
    MadeRun made;
    made.config.train.max_steps = 5;
    made.config.train.batch_size = 24;  // all rows, so that both tasks are in every step
    made.config.train.conflict_every = reports ? 2 : 0;
    RunSetup setup = made.setup();
    train(setup, {.quiet = true});
    trained[reports] = moelora::testing::snapshot(setup);
    std::vector<int64_t> steps;
    for (const nlohmann::json& line : moelora::testing::metrics(made.config.output)) {
      if (!line.contains("conflict")) continue;
      steps.push_back(line["step"]);
      const double cosine = line["conflict"]["colour"]["echo"];
      EXPECT_LE(std::abs(cosine), 1.0);
      EXPECT_NE(cosine, 0);
    }
    EXPECT_EQ(steps, reports ? std::vector<int64_t>({2, 4}) : std::vector<int64_t>());
  }
  moelora::testing::expect_same_tensors(trained[0], trained[1]);
}

}  // namespace
}  // namespace moelora::train
