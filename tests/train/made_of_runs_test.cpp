// Methods that are made of runs: what is composed is what the runs left, and nothing is done twice.
#include "train/made_of_runs.h"

#include <gmock/gmock.h>

#include <cmath>

#include "adapters/compose.h"
#include "core/error.h"
#include "io/json_file.h"
#include "made_run.h"
#include "train/open_run.h"
#include "train/plan.h"
#include "train/step.h"

namespace moelora::train {
namespace {

using config::Method;
using moelora::testing::MadeRun;

struct RunOf : MadeRun {
  explicit RunOf(Method method) {
    config.adapter.method = method;
    config.adapter.search_steps = 12;
    config.train.max_steps = 6;
    config.train.learning_rate = 0.02;
    config.eval.every_steps = 2;
  }
};

TrainResult train_well(const MadeRun& made, bool resume = false) {
  RunSetup setup = made.setup();
  return train(setup, {.resume = resume, .quiet = true});
}

adapters::LoraTensors task_tensors(const MadeRun& made, const std::string& task) {
  return load_adapter(std::filesystem::path(made.config.output) / "tasks" / task / "adapter").tensors;
}

/// Linear by linear, B A of a task of a finished run.
std::vector<at::Tensor> updates(const std::filesystem::path& run, const std::string& task) {
  const OpenRun open = open_run(run);
  std::vector<at::Tensor> all;
  for (const adapters::CollapsedLinear& linear : open.model.adapters->collapse(open.task_index(task))) {
    all.push_back(linear.b.mm(linear.a));
  }
  return all;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.sub(b).abs().max().item<double>();
}

TEST(MadeOfRuns, OneLoraATaskIsTheTasksOwnRuns) {
  const RunOf made(Method::kLoraPerTask);
  const TrainResult result = train_well(made);
  EXPECT_EQ(result.steps, 6);  // 3 a task: each has half the rows
  ASSERT_TRUE(result.best_value.has_value());
  for (const std::string task : {"colour", "echo"}) {
    const std::filesystem::path own = std::filesystem::path(made.config.output) / "tasks" / task;
    EXPECT_EQ(load_adapter(own / "adapter").task_names(), std::vector{task});
    const std::vector<at::Tensor> expected = updates(own, task), found = updates(made.config.output, task);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].equal(expected[i]));
  }
  EXPECT_EQ(plan_model(made.config, made.setup().base.shape, 2).trained_parameters,
            2 * plan_model(task_run_config(made.config, "echo", 3, 6), made.setup().base.shape, 1).trained_parameters);
}

TEST(MadeOfRuns, AStandingOneIsTouchedOnlyToGoOnWithItsOwnConfiguration) {
  const RunOf made(Method::kLoraPerTask);
  train_well(made);
  const std::filesystem::path out = made.config.output;
  std::filesystem::remove_all(out / "adapter");
  EXPECT_THROW(train_well(made), Error);
  RunOf other(Method::kLoraPerTask);
  other.config.output = made.config.output;
  other.config.train.learning_rate = 0.1;
  EXPECT_THROW(train_well(other, /*resume=*/true), Error);
  EXPECT_FALSE(std::filesystem::exists(out / "adapter"));
  train_well(made, /*resume=*/true);
  EXPECT_TRUE(std::filesystem::exists(out / "adapter"));
}

/// A run that stands in its output, of another method, can't be resumed as one of its own, and is left as it is.
void expect_refused(const RunOf& made) {
  const std::filesystem::path out = made.config.output;
  const std::string before = test::read_file(out / "config.yaml");
  EXPECT_THAT([&] { train_well(made, /*resume=*/true); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("a run of another method stands there")));
  EXPECT_EQ(test::read_file(out / "config.yaml"), before);
}

TEST(MadeOfRuns, AnotherMethodsRunIsLeftAsItIs) {
  const RunOf other(Method::kMoelora);
  train_well(other);
  RunOf made(Method::kLoraPerTask);
  made.config.output = other.config.output;
  expect_refused(made);
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(other.config.output) / "tasks"));
}

TEST(MadeOfRuns, IsLeftAsItIsByAnotherMethod) {
  const RunOf made(Method::kLoraPerTask);
  train_well(made);
  std::filesystem::remove_all(std::filesystem::path(made.config.output) / "adapter");  // it was killed
  RunOf other(Method::kMoelora);
  other.config.output = made.config.output;
  expect_refused(other);
}

TEST(MadeOfRuns, EndsWhereTheDataChangeBetweenItsRuns) {
  RunOf made(Method::kLoraPerTask);
  made.config.eval.generate = true;
  for (const char* task : {"colour", "echo"}) made.config.tasks[task].metric = "exact_match";
  RunSetup setup = made.setup();
  const std::filesystem::path rows = made.directory.path() / "data/echo/train.jsonl";
  const DevScores rewrite = [&](const RunSetup& run) {
    test::write_file(rows, test::read_file(rows) + "{\"input\": \"one more\", \"target\": \"row\"}\n");
    return std::map<std::string, double>{{run.dataset.tasks.front().name, 0.5}};
  };
  std::string problem = "none";
  try {
    train(setup, {.quiet = true, .dev_scores = rewrite});
  } catch (const Error& error) {
    problem = error.what();
  }
  EXPECT_THAT(problem, ::testing::HasSubstr("its data has changed since it began"));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(made.config.output) / "tasks/echo/adapter"));
}

TEST(MadeOfRuns, TaskArithmeticTakesTheBestLambdaOnDevRows) {
  const RunOf made(Method::kTaskArithmetic);
  const TrainResult result = train_well(made);
  const std::filesystem::path out = made.config.output;
  const nlohmann::json found = io::read_json_object(out / "weights.json");
  double best = INFINITY, lambda = 0;
  for (const nlohmann::json& tried : found.at("mean_dev_loss")) {
    if (tried.at(1) < best) best = tried.at(1), lambda = tried.at(0);
  }
  EXPECT_EQ(found.at("mean_dev_loss").size(), 10u);
  EXPECT_EQ(found.at("lambda"), lambda);
  EXPECT_NEAR(*result.best_value, best, 1e-6);
  const std::vector<at::Tensor> colour = updates(out / "tasks/colour", "colour"),
                                echo = updates(out / "tasks/echo", "echo");
  const std::vector<at::Tensor> sum = updates(out, "echo");
  for (size_t i = 0; i < sum.size(); ++i)
    EXPECT_LT(largest_difference(sum[i], colour[i].add(echo[i]).mul(lambda)), 1e-6);
}

TEST(MadeOfRuns, LoraHubIsNoWorseThanTheBaseByItsOwnObjective) {
  const RunOf made(Method::kLoraHub);
  train_well(made);
  const std::filesystem::path out = made.config.output;
  const nlohmann::json found = io::read_json_object(out / "weights.json");
  const std::vector<adapters::LoraTensors> each = {task_tensors(made, "colour"), task_tensors(made, "echo")};
  RunOf plain(Method::kLora);
  plain.config.data = made.config.data;
  const RunSetup setup = plain.setup();
  const data::StepBatches dev =
      data::pack_range(*setup.dev_rows, 0, setup.dev_rows->size(), {.tokens_per_batch = 4096});
  const StepLoss base = loss_of(setup.model, dev);  // B is 0
  for (size_t t = 0; t < 2; ++t) {
    const std::string task = t == 0 ? "colour" : "echo";
    const std::vector<double> weights = found.at("weights").at(task);
    setup.model.adapters->load(adapters::sum_state_dicts(each, weights));
    const double penalty = 0.05 * (std::abs(weights[0]) + std::abs(weights[1])) / 2;
    const double objective = loss_of(setup.model, dev).tasks[t].mean() + penalty;
    EXPECT_NEAR(found.at("objective").at(task).get<double>(), objective, 1e-5);
    EXPECT_LT(objective, base.tasks[t].mean());
    std::vector<at::Tensor> collapsed = updates(out, task);
    const std::vector<adapters::CollapsedLinear> expected = setup.model.adapters->collapse(0);
    for (size_t i = 0; i < collapsed.size(); ++i)
      EXPECT_LT(largest_difference(collapsed[i], expected[i].b.mm(expected[i].a)), 1e-6);
  }
}

TEST(MadeOfRuns, LoraHubSearchesAgainOnlyForTasksThatHaveNoWeightsYet) {
  const RunOf made(Method::kLoraHub);
  train_well(made);
  const std::filesystem::path out = made.config.output;
  const nlohmann::json whole = io::read_json_object(out / "weights.json");
  std::filesystem::remove_all(out / "adapter");
  const std::string bytes = test::read_file(out / "weights.json");
  nlohmann::json cut = whole;
  cut["weights"].erase("echo");
  test::write_file(out / "weights.json", cut.dump());
  train_well(made, /*resume=*/true);
  EXPECT_EQ(test::read_file(out / "weights.json"), bytes);
  std::filesystem::remove_all(out / "adapter");
  cut["weights"]["colour"] = {0.25, -0.5};  // what no search would find
  test::write_file(out / "weights.json", cut.dump());
  train_well(made, /*resume=*/true);
  const nlohmann::json found = io::read_json_object(out / "weights.json");
  EXPECT_EQ(found.at("weights").at("colour"), cut["weights"]["colour"]);
  EXPECT_EQ(found.at("weights").at("echo"), whole.at("weights").at("echo"));
  std::filesystem::remove_all(out / "adapter");
  for (const nlohmann::json& spoiled : {nlohmann::json{0.25}, nlohmann::json("0.25"), nlohmann::json{0.25, nullptr}}) {
    cut["weights"]["colour"] = spoiled;
    test::write_file(out / "weights.json", cut.dump());
    EXPECT_THAT([&] { train_well(made, /*resume=*/true); },
                ::testing::ThrowsMessage<Error>(::testing::HasSubstr("weights.json: task ")));
  }
}

TEST(MadeOfRuns, StepsAreSharedAsRowsAreDrawn) {
  RunOf made(Method::kLoraPerTask);
  std::string rows;
  for (int i = 0; i < 36; ++i) rows += "{\"input\": \"more " + std::to_string(i) + "\", \"target\": \"a\"}\n";
  test::write_file(made.directory.path() / "data/echo/train.jsonl", rows);
  EXPECT_THAT(steps_by_task(prepare_data(made.config), 40), ::testing::ElementsAre(10, 30));
  made.config.eval.every_steps = 8;
  const config::RunConfig echo = task_run_config(made.config, "echo", 30, 40);
  EXPECT_EQ(echo.eval.every_steps, 6);
  EXPECT_EQ(echo.train.max_steps, 30);
  EXPECT_EQ(echo.data.tasks, std::vector<std::string>{"echo"});
}

TEST(TaskPrompt, IsBroughtByTheMethodAndKeptInTheConfiguration) {
  RunOf made(Method::kLoraTaskPrompt);
  made.config.tasks["echo"].prompt = "Repeat.";
  const RunSetup setup = prepare_data(made.config);
  EXPECT_EQ(setup.config.tasks.at("colour").prompt, "Task: colour");
  EXPECT_EQ(setup.config.tasks.at("echo").prompt, "Repeat.");
  made.config.adapter.method = Method::kLora;
  made.config.tasks["colour"].prompt = "Task: colour";
  const RunSetup by_hand = prepare_data(made.config);
  for (int64_t i = 0; i < by_hand.train_rows->size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(by_hand.train_rows->ids(i), setup.train_rows->ids(i)));
  }
}

}  // namespace
}  // namespace moelora::train
