// The loop: it learns, it stops before a number that isn't finite touches a weight, and its state survives a file.
#include "train/trainer.h"

#include <ATen/ops/full_like.h>
#include <gmock/gmock.h>

#include <limits>

#include "core/error.h"
#include "made_run.h"
#include "train/saved_adapter.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

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
  MadeRun made("llama/f32");  // its head isn't its embedding
  made.config.train.dtype = config::DType::kBFloat16;  // weights of its own, which the test can spoil
  made.config.train.batch_size = 24;
  test::write_file(made.directory.path() / "data/colour/train.jsonl",
                   "{\"input\": \"one\", \"target\": \"red\"}\n{\"input\": \"~\", \"target\": \"red\"}\n{\"input\": \"two\", \"target\": \"red\"}\n");
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
  const TrainResult result = train(setup, {.quiet = true, .dev_scores = [&](const RunSetup&) {
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
  state.best = Best{4, 0.7};
  state.evaluations_without_improvement = 1;
  state.history = {{{"step", 5}, {"loss", 2.0 / 3}}};
  const TrainerState back = TrainerState::from_json(nlohmann::json::parse(state.to_json().dump()), "state.json");
  EXPECT_EQ(back.to_json(), state.to_json());
  EXPECT_EQ(back.window.objective, state.window.objective);
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
  state.best = Best{4, 0.5};
  const nlohmann::ordered_json json = hf_trainer_state(state, 1.5, 10);
  EXPECT_EQ(json["best_model_checkpoint"], "checkpoint-4");
  EXPECT_EQ(json["best_metric"], 0.5);
  EXPECT_EQ(json["global_step"], 6);
  EXPECT_EQ(json["max_steps"], 10);
  EXPECT_EQ(json["epoch"], 1.5);
  EXPECT_TRUE(json["log_history"].is_array());
}

}  // namespace
}  // namespace moelora::train
