// The loop: it learns, it stops before a number that isn't finite touches a weight, and its state survives a file.
#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full_like.h>
#include <gmock/gmock.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <set>

#include "config/enum_names.h"
#include "config/load.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "io/checkpoint.h"
#include "made_run.h"
#include "train/non_finite.h"
#include "train/saved_adapter.h"

namespace moelora::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using moelora::testing::MadeRun;
using moelora::testing::metrics;

/// The message of a run that must fail numerically without a change to any weight.
std::string numeric_failure(RunSetup& setup) {
  const std::vector<NamedTensor> before = moelora::testing::snapshot(setup);
  std::string message;
  try {
    train(setup, {.quiet = true});
    ADD_FAILURE() << "trained on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    message = error.what();
  }
  moelora::testing::expect_same_tensors(moelora::testing::snapshot(setup), before);
  EXPECT_FALSE(std::filesystem::exists(artefact_dir(setup.config)));
  return message;
}

TEST(Train, NamesTheTaskAndRowOfALossThatIsNotFinite) {
  MadeRun made("llama/f32");                           // its head isn't its embedding
  made.config.train.dtype = config::DType::kBFloat16;  // weights of its own, which the test can spoil
  made.config.train.batch_size = 24;
  test::write_file(made.directory.path() / "data/colour/train.jsonl",
                   "{\"input\": \"one\", \"target\": \"red\"}\n{\"input\": \"~\", \"target\": \"red\"}\n{\"input\": "
                   "\"two\", \"target\": \"red\"}\n");
  RunSetup setup = made.setup();
  const std::vector<int32_t> tilde = setup.renderer->text_ids("~");
  const at::NoGradGuard no_grad;
  for (const nn::WeightPtr& weight : setup.model.decoder->weights()) {
    if (weight->name() != "model.embed_tokens.weight") continue;
    at::Tensor embedding = weight->stored();
    embedding.select(0, tilde.front()).fill_(std::numeric_limits<float>::quiet_NaN());
  }
  const at::AutoGradMode with_gradients(true);
  const std::string message = numeric_failure(setup);
  EXPECT_THAT(message, ::testing::HasSubstr("step 1"));
  EXPECT_THAT(message, ::testing::HasSubstr("task `colour`"));
  EXPECT_THAT(message, ::testing::HasSubstr("colour/train.jsonl:2"));
  EXPECT_THAT(message, ::testing::HasSubstr("the loss is not finite"));
}

TEST(Train, NamesTheTaskAndRowOfAGradientThatIsNotFinite) {
  const MadeRun made;
  RunSetup setup = made.setup();
  std::vector<NamedTensor> values = moelora::testing::snapshot(setup);
  for (auto& [name, value] : values) {
    if (name.ends_with(".lora_A")) value.fill_(1e36);  // B is 0: the loss stays finite, B's gradient doesn't
  }
  load_parameters(setup.model, values);
  const std::string message = numeric_failure(setup);
  EXPECT_THAT(message, ::testing::ContainsRegex("step 1, task `(colour|echo)`, .*train.jsonl:[0-9]+"));
  EXPECT_THAT(message, ::testing::HasSubstr("the gradient is not finite"));
  EXPECT_THAT(message, ::testing::ContainsRegex("not finite in .*lora_B|beyond float32"));
}

/// Every embedding of this text's first token becomes NaN.
void spoil(RunSetup& setup, const std::string& text) {
  const int32_t token = setup.renderer->text_ids(text).front();
  const at::NoGradGuard no_grad;
  for (const nn::WeightPtr& weight : setup.model.decoder->weights()) {
    if (weight->name() != "model.embed_tokens.weight") continue;
    at::Tensor embedding = weight->stored();
    embedding.select(0, token).fill_(std::numeric_limits<float>::quiet_NaN());
  }
}

TEST(Train, NamesTheTaskAndRowOfADevLossThatIsNotFinite) {
  MadeRun made("llama/f32");
  made.config.train.dtype = config::DType::kBFloat16;
  test::write_file(made.directory.path() / "data/echo/dev.jsonl",
                   "{\"input\": \"one\", \"target\": \"red\"}\n{\"input\": \"~\", \"target\": \"red\"}\n");
  RunSetup setup = made.setup();
  spoil(setup, "~");
  try {
    train(setup, {.quiet = true});
    ADD_FAILURE() << "trained on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    EXPECT_THAT(error.what(), HasSubstr("step 2, task `echo`"));
    EXPECT_THAT(error.what(), HasSubstr("echo/dev.jsonl:2"));
  }
}

TEST(Train, NamesTheRowWhoseLossIsNotFiniteOnlyWhenItIsTriedAlone) {
  MadeRun made("llama/f32");
  made.config.train.dtype = config::DType::kBFloat16;
  test::write_file(made.directory.path() / "data/colour/train.jsonl", "{\"input\": \"~\", \"target\": \"red\"}\n");
  RunSetup setup = made.setup();
  spoil(setup, "~");
  AdamW optimizer(trained_parameters(setup.model), {});
  try {
    throw_non_finite_gradient(setup, data::pack_range(*setup.train_rows, 0, setup.train_rows->size(), {}), {},
                              optimizer, 5);
    ADD_FAILURE() << "nothing thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    EXPECT_THAT(error.what(), HasSubstr("step 5, task `colour`"));
    EXPECT_THAT(error.what(), HasSubstr("colour/train.jsonl:1"));
  }
}

std::map<std::string, double> same_scores(const RunSetup&) {
  return {{"colour", 0.5}, {"echo", 0.25}};
}

struct SixSteps : MadeRun {
  SixSteps() {
    config.train.max_steps = 6;
    config.train.learning_rate = 0.02;
    config.train.log_every = 1;
    config.eval.every_steps = 2;
  }
};

/// The process ends with the Error's exit code, its message on standard error.
[[noreturn]] void train_and_exit(const MadeRun& made, const TrainOptions& options) {
  RunSetup setup = made.setup();
  try {
    train(setup, options);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::exit(error.exit_code());
  }
  std::exit(0);
}

class InterruptedEvaluation : public ::testing::TestWithParam<int> {};

TEST_P(InterruptedEvaluation, LeavesACheckpointFromWhichTheRunGoesOnToTheBit) {
  const SixSteps whole, broken;
  RunSetup reference = whole.setup();
  const TrainResult expected = train(reference, {.quiet = true, .dev_scores = same_scores});

  int evaluations = 0;
  const TrainOptions interrupting{.quiet = true, .dev_scores = [&](const RunSetup& run) {
                                    if (++evaluations == GetParam()) {
                                      install_interrupt_handlers();
                                      std::raise(SIGTERM);
                                      throw_if_interrupted();
                                    }
                                    return same_scores(run);
                                  }};
  const std::string step = std::to_string(2 * GetParam());
  EXPECT_EXIT(train_and_exit(broken, interrupting), ::testing::ExitedWithCode(75),
              "interrupted after step " + step + " of 6 in its evaluation; a checkpoint was written");
  EXPECT_TRUE(fs::exists(fs::path(broken.config.output) / ("checkpoint-" + step)));
  // Again, before the evaluation that is due: nothing is lost or written twice.
  evaluations = GetParam() - 1;
  TrainOptions again = interrupting;
  again.resume = true;
  EXPECT_EXIT(train_and_exit(broken, again), ::testing::ExitedWithCode(75), "interrupted after step " + step);

  RunSetup resumed = broken.setup();
  const TrainResult result = train(resumed, {.resume = true, .quiet = true, .dev_scores = same_scores});
  EXPECT_EQ(result.best_step, expected.best_step);
  EXPECT_EQ(metrics(broken.config.output), metrics(whole.config.output));
  moelora::testing::expect_same_tensors(load_adapter(result.artefact).tensors, load_adapter(expected.artefact).tensors);
}

INSTANTIATE_TEST_SUITE_P(OfFirstSecondAndLast, InterruptedEvaluation, ::testing::Values(1, 2, 3));

/// The message of a resume that must be refused (kModel) and leave the run directory as it is.
std::string refused_resume(const MadeRun& made) {
  const auto listing = [&] {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(made.config.output)) {
      if (!entry.path().filename().string().starts_with(".")) names.insert(entry.path().filename().string());
    }
    return names;
  };
  const std::set<std::string> before = listing();
  RunSetup setup = made.setup();
  try {
    train(setup, {.resume = true, .quiet = true});
    ADD_FAILURE() << "resumed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_EQ(listing(), before);
    return error.what();
  }
  return "";
}

TEST(Resume, IsRefusedWhereNoCheckpointCanBeUsed) {
  const SixSteps made;
  RunSetup setup = made.setup();
  train(setup, {.quiet = true});
  fs::remove_all(artefact_dir(made.config));
  for (const auto& entry : fs::directory_iterator(made.config.output)) {
    if (entry.is_directory()) fs::remove(entry.path() / "state.json");
  }
  EXPECT_THAT(refused_resume(made), HasSubstr("no checkpoint of the run can be used"));
}

TEST(Resume, IsRefusedWhereTheRunIsFinishedAndHasNoCheckpoint) {
  const SixSteps made;
  RunSetup setup = made.setup();
  train(setup, {.quiet = true});
  for (const int64_t step : {2, 4, 6}) fs::remove_all(io::checkpoint_dir(made.config.output, step));
  EXPECT_THAT(refused_resume(made), HasSubstr("the run is finished"));
}

/// trainer_state.json's log_history, built from metrics.jsonl on resuming.
nlohmann::json log_history(const MadeRun& made) {
  return nlohmann::json::parse(test::read_file(fs::path(made.config.output) / "trainer_state.json"))["log_history"];
}

TEST(Resume, CountsTheTimeAndTokensOfAllProcessesAndKeepsTheHistory) {
  const SixSteps whole, broken;
  RunSetup reference = whole.setup();
  const TrainResult expected = train(reference, {.quiet = true});
  RunSetup first = broken.setup();
  train(first, {.quiet = true});
  fs::remove_all(artefact_dir(broken.config));
  fs::remove_all(io::checkpoint_dir(broken.config.output, 6));
  const fs::path state = io::checkpoint_dir(broken.config.output, 4) / "state.json";
  const nlohmann::json stored = nlohmann::json::parse(test::read_file(state));
  EXPECT_FALSE(stored.contains("history")) << "it would be written again with every checkpoint";
  RunSetup second = broken.setup();
  const TrainResult result = train(second, {.resume = true, .quiet = true});
  EXPECT_EQ(result.tokens, expected.tokens);
  EXPECT_GT(result.seconds, stored["time"]["seconds"].get<double>());
  EXPECT_GT(result.run_seconds, stored["time"]["run_seconds"].get<double>());
  EXPECT_GE(result.run_seconds, result.seconds);
  EXPECT_EQ(log_history(broken), log_history(whole));
}

TEST(Resume, GoesOnWithoutTheMetricsThatSomeoneRemoved) {
  const SixSteps made;
  RunSetup setup = made.setup();
  const TrainResult first = train(setup, {.quiet = true});
  const std::vector<NamedTensor> kept = load_adapter(first.artefact).tensors;
  fs::remove_all(first.artefact);
  fs::remove_all(io::checkpoint_dir(made.config.output, 6));
  fs::remove(fs::path(made.config.output) / "metrics.jsonl");
  RunSetup again = made.setup();
  train(again, {.resume = true, .quiet = true});
  EXPECT_EQ(metrics(made.config.output).front()["step"], 5);
  moelora::testing::expect_same_tensors(load_adapter(first.artefact).tensors, kept);
}

TEST(Run, WritesDownTheDtypeAndThreadsItUsed) {
  MadeRun made;
  made.config.train.dtype = config::DType::kAuto;
  made.config.train.threads = 0;
  RunSetup setup = made.setup();
  const TrainResult result = train(setup, {.quiet = true});
  const config::RunConfig written = config::load_config(fs::path(made.config.output) / "config.yaml");
  EXPECT_EQ(compute_dtype(written.train.dtype), compute_dtype(config::DType::kAuto));
  EXPECT_NE(written.train.dtype, config::DType::kAuto);
  EXPECT_EQ(written.train.threads, at::get_num_threads());
  const nlohmann::json machine = load_adapter(result.artefact).machine;
  EXPECT_EQ(machine["threads"], at::get_num_threads());
  EXPECT_EQ(machine["dtype"], config::name_of(written.train.dtype));
}

TEST(Resume, KeepsACheckpointThatItCantUseUnderAnotherName) {
  const SixSteps made;
  RunSetup setup = made.setup();
  const TrainResult first = train(setup, {.quiet = true});
  const std::vector<NamedTensor> kept = load_adapter(first.artefact).tensors;
  const fs::path out = made.config.output;
  fs::remove_all(first.artefact);
  fs::remove(out / "checkpoint-6/state.json");
  RunSetup again = made.setup();
  train(again, {.resume = true, .quiet = true});
  EXPECT_TRUE(fs::exists(out / "bad-checkpoint-6/tensors.safetensors"));
  EXPECT_TRUE(fs::exists(out / "checkpoint-6/state.json"));
  moelora::testing::expect_same_tensors(load_adapter(first.artefact).tensors, kept);
}

TEST(Train, LowersTheLossAndLeavesTheBestStepsWeights) {
  MadeRun made;
  made.config.train.max_steps = 12;
  made.config.train.learning_rate = 0.02;
  made.config.eval.every_steps = 3;
  RunSetup setup = made.setup();
  const TrainResult result = train(setup, {.quiet = true});
  EXPECT_EQ(result.steps, 12);
  ASSERT_TRUE(result.best_value.has_value());
  EXPECT_LT(*result.best_value, 5.0);  // of 320 tokens, guessing has 5.77
  const SavedAdapter saved = load_adapter(result.artefact);
  EXPECT_EQ(saved.step, result.best_step);
  std::vector<NamedTensor> kept = moelora::testing::snapshot(setup);  // the best are loaded at the end
  std::ranges::sort(kept, {}, &NamedTensor::first);
  moelora::testing::expect_same_tensors(saved.tensors, kept);
}

TEST(Train, TakesTheBestByTheScoresItIsGiven) {
  MadeRun made;
  made.config.train.max_steps = 6;
  made.config.train.learning_rate = 0.02;
  made.config.eval.every_steps = 2;
  made.config.eval.best = "echo";
  RunSetup setup = made.setup();
  int evaluations = 0;
  const TrainResult result = train(
      setup, {.quiet = true, .dev_scores = [&](const RunSetup&) {
                ++evaluations;
                return std::map<std::string, double>{{"colour", evaluations}, {"echo", evaluations == 2 ? 0.9 : 0.1}};
              }});
  EXPECT_EQ(evaluations, 3);
  EXPECT_EQ(result.best_step, 4);
  EXPECT_EQ(result.best_value, 0.9);
  EXPECT_EQ(load_adapter(result.artefact).step, 4);
}

TEST(TrainerState, ComesBackFromJsonToTheBit) {
  TrainerState state{.step = 7, .cursor = {2, 3}, .tokens = 1234, .metrics_size = 99};
  state.window = {.objective = 1.0 / 3, .tasks = {{0.1, 3}, {1e-300, 4}}};
  state.window_steps = 2;
  state.idle_steps = 2;
  state.standings = {{Best{4, 1.0 / 3}, 1}, {std::nullopt, 0}};
  state.evaluation_due = true;
  state.seconds = 1.0 / 7;
  const TrainerState back = TrainerState::from_json(nlohmann::json::parse(state.to_json().dump()), "state.json");
  EXPECT_EQ(back.to_json(), state.to_json());
  EXPECT_EQ(back.window.objective, state.window.objective);
  EXPECT_TRUE(back.evaluation_due);
  EXPECT_EQ(back.seconds, 1.0 / 7);
  EXPECT_EQ(back.idle_steps, 2);
  EXPECT_EQ(back.standings[0].best->value, 1.0 / 3);
  EXPECT_EQ(back.window.tasks[1].sum, 1e-300);
  EXPECT_EQ(back.cursor, state.cursor);
  try {
    TrainerState::from_json({{"step", 7}}, "state.json");
    ADD_FAILURE() << "half a state was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("state.json"));
  }
}

TEST(TrainerState, HasTheShapeOfTransformersFile) {
  TrainerState state{.step = 6};
  state.standings = {{Best{4, 0.5}, 0}};
  state.history = {
      {{"step", 3},
       {"epoch", 0.5},
       {"train", {{"loss", 2.0}, {"gradient_norm", 0.5}, {"learning_rate", 0.25}, {"tokens", 9}}}},
      {{"step", 6}, {"epoch", 1.0}, {"eval", {{"echo", {{"loss", 3.0}, {"score", 0.5}}}, {"mean", {{"loss", 3.0}}}}}}};
  const nlohmann::ordered_json json = hf_trainer_state(state, 1.5, 10);
  EXPECT_EQ(json["best_model_checkpoint"], "checkpoint-4");
  EXPECT_EQ(json["best_metric"], 0.5);
  EXPECT_EQ(json["global_step"], 6);
  EXPECT_EQ(json["max_steps"], 10);
  EXPECT_EQ(json["epoch"], 1.5);
  EXPECT_EQ(json["log_history"][0],
            (nlohmann::ordered_json{
                {"loss", 2.0}, {"grad_norm", 0.5}, {"learning_rate", 0.25}, {"epoch", 0.5}, {"step", 3}}));
  EXPECT_EQ(json["log_history"][1],
            (nlohmann::ordered_json{
                {"eval_echo_loss", 3.0}, {"eval_echo_score", 0.5}, {"eval_loss", 3.0}, {"epoch", 1.0}, {"step", 6}}));
}

}  // namespace
}  // namespace moelora::train
