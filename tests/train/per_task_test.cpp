// Each task at its own best step: what is left behind is the checkpoints' weights, task by task, and a task that is
// stopped is drawn no more.
#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "io/checkpoint.h"
#include "made_run.h"
#include "train/adapt.h"
#include "train/dev_evaluation.h"
#include "train/export_check.h"
#include "train/open_run.h"
#include "train/snapshots.h"
#include "train/trainer.h"

namespace moelora::train {
namespace {

namespace fs = std::filesystem;
using config::Method;
using moelora::testing::expect_same_update;
using moelora::testing::MadeRun;
using moelora::testing::metrics;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Eight steps with an evaluation every two.
struct EightSteps : MadeRun {
  EightSteps() {
    config.train.max_steps = 8;
    config.train.learning_rate = 0.02;
    config.train.log_every = 1;
    config.eval.every_steps = 2;
    config.eval.best = config::kBestPerTask;
  }
};

/// Scores by the number of the evaluation, after `done` of them: `colour` is best at the first, `echo` at the last.
DevScores falling_and_rising(int done = 0) {
  return [evaluation = done](const RunSetup&) mutable {
    ++evaluation;
    return std::map<std::string, double>{{"colour", 1.0 / evaluation}, {"echo", 0.1 * evaluation}};
  };
}

/// The run's model with the weights that its checkpoint of a step has.
RunSetup at_step(const MadeRun& made, int64_t step) {
  RunSetup setup = made.setup();
  load_parameters(setup.model, io::load_checkpoint(io::checkpoint_dir(made.config.output, step)).tensors);
  return setup;
}

struct Way {
  std::string name;
  Method method = Method::kMoelora;
  config::GateScope scope = config::GateScope::kShared;
};

class PerTaskOfMethod : public ::testing::TestWithParam<Way> {};

TEST_P(PerTaskOfMethod, EachTaskIsTheCheckpointOfItsOwnBestStep) {
  EightSteps made;
  made.config.adapter.method = GetParam().method;
  made.config.adapter.gate.scope = GetParam().scope;
  RunSetup setup = made.setup();
  const TrainResult result = train(setup, {.quiet = true, .dev_scores = falling_and_rising()});
  EXPECT_THAT(result.task_steps, ElementsAre(2, 8));
  EXPECT_EQ(result.best_step, 8);
  EXPECT_NEAR(*result.best_value, (1.0 + 0.4) / 2, 1e-12);
  EXPECT_TRUE(fs::exists(fs::path(made.config.output) / "checkpoint-2")) << "a task's best is never removed";
  EXPECT_FALSE(fs::exists(fs::path(made.config.output) / "checkpoint-4"));

  const OpenRun open = open_run(made.config.output);
  EXPECT_EQ(open.saved.tasks[0].step, 2);
  EXPECT_EQ(open.saved.tasks[1].step, 8);
  const std::vector<adapters::GateTable> gates = open.model.adapters->gates(), alone = gates_of(open.saved);
  const DevEvaluation dev = evaluate_on_dev(setup, {}, 8);  // what was trained is the artefact from then on
  for (size_t t = 0; t < 2; ++t) {
    const RunSetup snapshot = at_step(made, result.task_steps[t]);
    const auto task = static_cast<int64_t>(t);
    const auto expected = snapshot.model.adapters->collapse(task);
    EXPECT_EQ(expected[0].a.size(0), made.config.adapter.rank);
    expect_same_update(open.model.adapters->collapse(task), expected);
    expect_same_update(setup.model.adapters->collapse(task), expected);
    const std::string name = setup.dataset.tasks[t].name;
    EXPECT_NEAR(dev.tasks.at(name).at("loss"), evaluate_on_dev(snapshot, {}, 8).tasks.at(name).at("loss"), 1e-6);
    const std::vector<adapters::GateTable> own = snapshot.model.adapters->gates();
    ASSERT_EQ(gates.size(), own.size());
    for (size_t g = 0; g < gates.size(); ++g) {
      EXPECT_EQ(gates[g].name, own[g].name);
      EXPECT_EQ(gates[g].weights[t], own[g].weights[t]);
    }
    std::set<std::vector<float>> kept, all;
    for (const adapters::GateTable& gate : alone) kept.insert(gate.weights[t]);
    for (const adapters::GateTable& gate : own) all.insert(gate.weights[t]);
    EXPECT_EQ(kept, all) << "as `moelora gates` shows them";
  }
  const fs::path exported = made.directory.path() / "exported";
  export_task(open, "colour", exported, {});
  const ExportCheck check = check_export(open, "colour", exported, {});
  EXPECT_TRUE(check.passed()) << check.difference;
  EXPECT_GT(check.effect, 1e-3);
  std::vector<NamedTensor> kept = moelora::testing::snapshot(setup);
  std::ranges::sort(kept, {}, &NamedTensor::first);
  moelora::testing::expect_same_tensors(open.saved.tensors, kept);
}

INSTANTIATE_TEST_SUITE_P(All, PerTaskOfMethod,
                         ::testing::Values(Way{"moelora"},
                                           Way{"per_layer", Method::kMoelora, config::GateScope::kPerLayer},
                                           Way{"uniform", Method::kUniform}, Way{"lora", Method::kLora},
                                           Way{"prompted", Method::kLoraTaskPrompt}),
                         [](const auto& info) { return info.param.name; });

TEST(PerTask, TasksThatShareTheirBestStepShareItsWeights) {
  const EightSteps made;
  EightSteps mean;
  mean.config.eval.best = config::kBestOfMean;
  int evaluation = 0;
  const DevScores scores = [&](const RunSetup&) {
    const double score = ++evaluation % 4 == 3 ? 1 : 0.5;
    return std::map<std::string, double>{{"colour", score}, {"echo", score}};
  };
  RunSetup own = made.setup(), shared = mean.setup();
  const TrainResult result = train(own, {.quiet = true, .dev_scores = scores});
  train(shared, {.quiet = true, .dev_scores = scores});
  EXPECT_THAT(result.task_steps, ElementsAre(6, 6));
  moelora::testing::expect_same_tensors(load_run_adapter(made.config.output).tensors,
                                        load_run_adapter(mean.config.output).tensors);
  moelora::testing::expect_same_tensors(moelora::testing::snapshot(own), moelora::testing::snapshot(shared));
}

TEST(PerTask, AStoppedTaskIsDrawnNoMoreAndItsBestStands) {
  EightSteps made;
  made.config.eval.patience = 1;
  RunSetup setup = made.setup();
  // `colour` would be best at the last evaluation, but it is stopped by then.
  int evaluation = 0;
  const TrainResult result =
      train(setup, {.quiet = true, .dev_scores = [&](const RunSetup&) {
                      ++evaluation;
                      return std::map<std::string, double>{{"colour", evaluation == 4 ? 9.0 : 1.0 / evaluation},
                                                           {"echo", 0.1 * evaluation}};
                    }});
  EXPECT_EQ(result.steps, 8);
  EXPECT_FALSE(result.stopped_early);
  EXPECT_THAT(result.task_steps, ElementsAre(2, 8));
  std::set<int64_t> colour, echo;
  for (const nlohmann::json& line : metrics(made.config.output)) {
    if (!line.contains("train")) continue;
    if (line.at("task").contains("colour")) colour.insert(line.at("step").get<int64_t>());
    if (line.at("task").contains("echo")) echo.insert(line.at("step").get<int64_t>());
  }
  EXPECT_THAT(colour, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(echo, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

TEST(PerTask, ARunWhoseLastEvaluationUsesUpThePatienceTookAllSteps) {
  EightSteps made;
  made.config.eval.best = config::kBestOfMean;
  made.config.eval.patience = 1;
  RunSetup setup = made.setup();
  int evaluation = 0;
  const TrainResult result = train(setup, {.quiet = true, .dev_scores = [&](const RunSetup&) {
                                             const double score = ++evaluation < 4 ? evaluation : 0;
                                             return std::map<std::string, double>{{"colour", score}, {"echo", score}};
                                           }});
  EXPECT_EQ(result.steps, 8);
  EXPECT_EQ(result.best_step, 6);
  EXPECT_FALSE(result.stopped_early);
}

TEST(PerTask, TheRunEndsWhenEveryTaskIsStopped) {
  EightSteps made;
  made.config.eval.patience = 1;
  RunSetup setup = made.setup();
  int evaluation = 0;
  const TrainResult result = train(
      setup,
      {.quiet = true, .dev_scores = [&](const RunSetup&) {
         ++evaluation;
         return std::map<std::string, double>{{"colour", 1.0 / evaluation}, {"echo", evaluation == 2 ? 1.0 : 0.5}};
       }});
  EXPECT_EQ(result.steps, 6);
  EXPECT_TRUE(result.stopped_early);
  EXPECT_THAT(result.task_steps, ElementsAre(2, 4));
}

TEST(PerTask, ARunThatIsCutAnywhereGoesOnToTheBit) {
  EightSteps made;
  made.config.eval.patience = 1;
  made.config.train.batch_size = 2;  // some steps are without rows once `colour` is stopped
  made.config.train.max_steps = 14;
  made.config.adapter.dropout = 0.2;
  made.config.checkpoint.keep = 100;
  RunSetup setup = made.setup();
  const TrainResult whole = train(setup, {.quiet = true, .dev_scores = falling_and_rising()});
  EXPECT_THAT(whole.task_steps, ElementsAre(2, 14));
  const TrainerState last =
      TrainerState::from_json(io::load_checkpoint(io::checkpoint_dir(made.config.output, 14)).state, "state.json");
  EXPECT_GT(last.idle_steps, 0);
  for (int64_t step = 2; step < 14; step += 2) {
    config::RunConfig cut = made.config;
    cut.output = (made.directory.path() / ("cut" + std::to_string(step))).string();
    fs::copy(made.config.output, cut.output, fs::copy_options::recursive);
    fs::remove_all(artefact_dir(cut));
    for (int64_t later = step + 2; later <= 14; later += 2) fs::remove_all(io::checkpoint_dir(cut.output, later));
    RunSetup again = prepare_data(cut);
    load_model(again);
    const TrainResult result =
        train(again, {.resume = true, .quiet = true, .dev_scores = falling_and_rising(static_cast<int>(step / 2))});
    EXPECT_EQ(result.task_steps, whole.task_steps);
    EXPECT_EQ(metrics(cut.output), metrics(made.config.output)) << "from step " << step;
    moelora::testing::expect_same_tensors(load_run_adapter(cut.output).tensors,
                                          load_run_adapter(made.config.output).tensors);
  }
}

TEST(PerTask, EveryTaskNeedsDevRows) {
  const EightSteps made;
  fs::remove(made.directory.path() / "data/echo/dev.jsonl");
  try {
    prepare_data(made.config);
    ADD_FAILURE() << "a best step without dev rows";
  } catch (const ErrorList& error) {
    EXPECT_EQ(error.errors().front().kind(), ErrorKind::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("no dev rows of echo"));
  }
  EightSteps runs;
  runs.config.adapter.method = Method::kLoraPerTask;  // each task's own run has a best step, or its last
  fs::remove(runs.directory.path() / "data/echo/dev.jsonl");
  RunSetup setup = runs.setup();
  EXPECT_TRUE(train(setup, {.quiet = true}).best_value.has_value());
}

template <typename Act>
std::string refused(ErrorKind kind, const Act& act) {
  try {
    act();
    ADD_FAILURE() << "went on from an adapter that isn't one";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "";
}

TEST(PerTask, NothingGoesOnFromSeveralStepsAtOnce) {
  const EightSteps made;
  RunSetup setup = made.setup();
  train(setup, {.quiet = true, .dev_scores = falling_and_rising()});
  EightSteps next;
  next.config.adapter.start = made.config.output;
  EXPECT_THAT(refused(ErrorKind::kModel, [&] { next.setup(); }), HasSubstr("adapter.start"));
  EXPECT_THAT(refused(ErrorKind::kModel,
                      [&] {
                        adapt(made.config.output,
                              {.task = "new", .weights = "uniform", .to = made.directory.path() / "adapted"});
                      }),
              HasSubstr("its own best step"));
}

}  // namespace
}  // namespace moelora::train
