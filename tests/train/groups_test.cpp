// Tasks of one group are one task to the adapter: to the gate, to the methods that train a LoRA a task, to best steps.
#include <gmock/gmock.h>

#include "core/error.h"
#include "data/dataset.h"
#include "made_run.h"
#include "train/adapt.h"
#include "train/made_of_runs.h"
#include "train/open_run.h"
#include "train/plan.h"
#include "train/trainer.h"

namespace moelora::train {
namespace {

namespace fs = std::filesystem;
using config::Method;
using moelora::testing::expect_same_update;
using moelora::testing::MadeRun;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Tasks colour and echo in one group, shape alone.
struct Grouped : MadeRun {
  Grouped() {
    fs::copy(directory.path() / "data/echo", directory.path() / "data/shape");
    config.tasks["colour"].group = "pair";
    config.tasks["echo"].group = "pair";
    config.train.max_steps = 4;
    config.train.learning_rate = 0.02;
    config.eval.every_steps = 2;
  }
};

/// Linear by linear, B A of a task of a finished run.
std::vector<at::Tensor> updates(const fs::path& run, const std::string& task) {
  const OpenRun open = open_run(run);
  std::vector<at::Tensor> all;
  for (const adapters::CollapsedLinear& linear : open.model.adapters->collapse(open.task_index(task)))
    all.push_back(linear.b.mm(linear.a));
  return all;
}

TEST(Groups, HaveOneRowOfTheGateAndOneExportedAdapter) {
  const Grouped made;
  RunSetup setup = made.setup();
  EXPECT_EQ(setup.model.adapters->parameter_count(),
            plan_model(made.config, setup.base.shape, /*tasks=*/2).trained_parameters);
  EXPECT_EQ(plan_run(setup).trained_parameters, setup.model.adapters->parameter_count());
  train(setup, {.quiet = true});
  const OpenRun open = open_run(made.config.output);
  EXPECT_THAT(open.saved.task_names(), ElementsAre("colour", "echo", "shape"));
  for (const std::vector<adapters::GateTable>& gates : {open.model.adapters->gates(), gates_of(open.saved)}) {
    EXPECT_EQ(gates[0].weights[0], gates[0].weights[1]);
    EXPECT_NE(gates[0].weights[0], gates[0].weights[2]);
  }
  expect_same_update(open.model.adapters->collapse(0), open.model.adapters->collapse(1));
}

/// All rows in every step, so that the order of tasks decides nothing.
TEST(Groups, LearnAsOneTaskOfAllTheirRowsDoes) {
  MadeRun grouped, one;
  for (MadeRun* made : {&grouped, &one}) {
    made->config.train.batch_size = 24;
    made->config.train.max_steps = 3;
    made->config.train.learning_rate = 0.02;
  }
  grouped.config.tasks["colour"].group = "pair";
  grouped.config.tasks["echo"].group = "pair";
  one.config.data.sources.clear();
  for (const char* file : {"colour/train.jsonl", "echo/train.jsonl", "colour/dev.jsonl", "echo/dev.jsonl"})
    one.config.data.sources.push_back({.path = (one.directory.path() / "data" / file).string(), .task = "pair"});
  RunSetup first = grouped.setup(), second = one.setup();
  train(first, {.quiet = true});
  train(second, {.quiet = true});
  const auto found = updates(grouped.config.output, "echo"), expected = updates(one.config.output, "pair");
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_LT(found[i].sub(expected[i]).abs().max().item<double>(), 1e-4 * expected[i].abs().max().item<double>());
  }
}

TEST(Groups, HaveOneRunOfAMethodThatIsMadeOfRuns) {
  for (const Method method : {Method::kLoraPerTask, Method::kLoraHub, Method::kTaskArithmetic}) {
    Grouped made;
    made.config.adapter.method = method;
    made.config.adapter.search_steps = 8;
    RunSetup setup = made.setup();
    EXPECT_THAT(steps_by_task(setup, 6), ElementsAre(4, 2));
    const TrainResult result = train(setup, {.quiet = true});
    EXPECT_TRUE(result.best_value.has_value());
    const fs::path out = made.config.output;
    EXPECT_FALSE(fs::exists(out / "tasks/echo"));
    EXPECT_THAT(load_adapter(out / "tasks/pair/adapter").task_names(), ElementsAre("colour", "echo"));
    const auto colour = updates(out, "colour"), echo = updates(out, "echo"), shape = updates(out, "shape");
    const auto own = updates(out / "tasks/pair", "echo");
    for (size_t i = 0; i < colour.size(); ++i) {
      EXPECT_TRUE(colour[i].equal(echo[i]));
      EXPECT_EQ(echo[i].equal(shape[i]), method == Method::kTaskArithmetic);
      EXPECT_TRUE(method != Method::kLoraPerTask || echo[i].equal(own[i]));
    }
  }
}

TEST(Groups, HaveNoPartInRunsOfTasksThatAreLeftOut) {
  Grouped made;
  made.config.adapter.method = Method::kLoraPerTask;
  made.config.data.tasks = {"colour", "shape"};
  RunSetup setup = made.setup();
  train(setup, {.quiet = true});
  EXPECT_THAT(load_adapter(fs::path(made.config.output) / "tasks/pair/adapter").task_names(), ElementsAre("colour"));
}

TEST(Groups, HaveNoPartInATaskThatTheRunLeftOutAndIsNewToIt) {
  Grouped made;
  made.config.data.tasks = {"colour", "shape"};
  RunSetup setup = made.setup();
  train(setup, {.quiet = true});
  const fs::path adapted = made.directory.path() / "adapted";
  adapt(made.config.output,
        {.task = "echo", .data = made.directory.path() / "data/echo", .weights = "shape", .to = adapted});
  const OpenRun run = open_run(adapted);
  EXPECT_EQ(run.model.adapters->gates()[0].weights.size(), 3u);
  // Its rows are among those of the run's own sources.
  EXPECT_THAT(data::load_dataset(run.saved.config.data, run.saved.config.tasks).task_names(),
              ElementsAre("colour", "echo", "shape"));
}

TEST(Groups, HaveOneBestStepByTheMeanOfTheirTasks) {
  Grouped made;
  made.config.eval.best = config::kBestPerTask;
  RunSetup setup = made.setup();
  int evaluation = 0;
  const TrainResult result =
      train(setup, {.quiet = true, .dev_scores = [&](const RunSetup&) {
                      ++evaluation;  // alone, colour would take the second
                      return std::map<std::string, double>{
                          {"colour", 0.1 * evaluation}, {"echo", 1.0 - 0.2 * evaluation}, {"shape", evaluation}};
                    }});
  EXPECT_THAT(result.task_steps, ElementsAre(2, 2, 4));
  EXPECT_NEAR(*result.best_value, (0.1 + 0.8) / 2 * 2 / 3 + 2.0 / 3, 1e-12);
  const OpenRun open = open_run(made.config.output);
  expect_same_update(open.model.adapters->collapse(0), open.model.adapters->collapse(1));
}

TEST(Groups, AreKnownToANewTaskAndToARunThatStartsFromThem) {
  const Grouped made;
  RunSetup setup = made.setup();
  train(setup, {.quiet = true});
  const auto weights = open_run(made.config.output).model.adapters->gates()[0].weights;
  const fs::path adapted = made.directory.path() / "adapted";
  adapt(made.config.output, {.task = "new", .weights = "shape", .to = adapted});
  const auto with_new = open_run(adapted).model.adapters->gates()[0].weights;
  EXPECT_THAT(with_new, ElementsAre(weights[0], weights[1], weights[2], weights[2]));
  try {
    adapt(made.config.output, {.task = "pair", .weights = "uniform", .to = made.directory.path() / "other"});
    ADD_FAILURE() << "a task of a group's name";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("group of tasks of this name"));
  }

  Grouped next;
  next.config.tasks.erase("colour");
  next.config.tasks["shape"].group = "pair";  // with echo, which is known by another group
  next.config.adapter.start = made.config.output;
  const auto started = next.setup().model.adapters->gates()[0].weights;
  EXPECT_THAT(started, ElementsAre(weights[0], weights[1], weights[1]));
}

TEST(Groups, HaveNamesOfTheirOwn) {
  Grouped made;
  made.config.tasks["colour"].group = "shape";
  made.config.tasks["echo"].group = "a/b";
  try {
    prepare_data(made.config);
    ADD_FAILURE() << "groups without names of their own";
  } catch (const ErrorList& error) {
    EXPECT_EQ(error.errors().front().kind(), ErrorKind::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("tasks.colour.group: the group has the name of a task that isn't in it"));
    EXPECT_THAT(error.what(), HasSubstr("tasks.echo.group"));
  }
  made.config.tasks["echo"].group.reset();
  made.config.tasks["shape"].group = "shape";
  EXPECT_THAT(prepare_data(made.config).groups().names, ElementsAre("shape", "echo"));
}

}  // namespace
}  // namespace moelora::train
