// The plan's counts against the weights that a decoder and its adapters really have.
#include "train/plan.h"

#include <gtest/gtest.h>

#include "adapters/adapter_set.h"
#include "config/enum_names.h"
#include "config/method.h"
#include "made_run.h"
#include "nn/random_weights.h"
#include "support/families.h"
#include "support/fixture.h"
#include "train/parameter_count.h"

namespace moelora::train {
namespace {

nn::ModelConfig small_shape() {
  return nn::parse_model_config({{"model_type", "qwen2"},
                                 {"hidden_size", 64},
                                 {"intermediate_size", 128},
                                 {"num_hidden_layers", 2},
                                 {"num_attention_heads", 4},
                                 {"num_key_value_heads", 2},
                                 {"vocab_size", 320},
                                 {"tie_word_embeddings", true},
                                 {"max_position_embeddings", 128},
                                 {"rms_norm_eps", 1e-6},
                                 {"rope_theta", 1e4},
                                 {"hidden_act", "silu"}},
                                "shape");
}

TEST(Plan, OfAShapeHasWhatEachFormTakes) {
  const nn::ModelConfig shape = small_shape();
  config::RunConfig config;
  config.train.tokens_per_batch = 64;
  std::vector<Plan> plans;
  for (const config::Quantization form :
       {config::Quantization::kNone, config::Quantization::kInt8, config::Quantization::kNf4}) {
    config.quantization = form;
    plans.push_back(plan_shape(config, shape, {.tasks = 3, .supervised = 0.5}));
    EXPECT_GT(plans.back().gflops, 0);
    nn::RandomWeights weights(1, 0.02);
    nn::Decoder decoder(shape, weights, compute_dtype(config.train.dtype), linear_form(form));
    int64_t bytes = 0;
    for (const nn::WeightPtr& weight : decoder.weights()) bytes += static_cast<int64_t>(weight->stored().nbytes());
    if (form != config::Quantization::kNone) {
      decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& projection) {
        for (const nn::Member& member : projection->members()) bytes += member.base->weight_bytes();
      });
    }
    EXPECT_NEAR(plans.back().weight_bytes, bytes, 0.01 * static_cast<double>(bytes));
  }
  // Four passes over the linears for every token, over the head for every other.
  const double a_token = 4.0 * (2 * (64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 64 * 128)) + 4.0 * 320 * 64 * 0.5;
  EXPECT_NEAR(plans[0].gflops * 1e9 / plans[0].tokens_per_s, a_token / 0.7, 1);
}

class PlanOfFamily : public ::testing::TestWithParam<std::string> {};

TEST_P(PlanOfFamily, CountsTheParametersThereAre) {
  nn::Decoder decoder = moelora::testing::load_decoder(GetParam() + "/f32", at::kFloat);
  int64_t weights = 0;
  for (const nn::WeightPtr& weight : decoder.weights()) weights += weight->stored().numel();
  config::RunConfig config;
  config.adapter.rank = 8;
  config.adapter.experts = 4;
  for (const config::MethodTraits& method : config::kMethods) {
    config.adapter.method = *config::from_name<config::Method>(method.name);
    for (const config::GateScope scope : {config::GateScope::kShared, config::GateScope::kPerLayer}) {
      config.adapter.gate.scope = scope;
      const Plan plan = plan_model(config, decoder.config(), /*tasks=*/3);
      EXPECT_EQ(plan.base_parameters, weights);
      if (config::trains_base(config.adapter.method)) {
        EXPECT_EQ(plan.trained_parameters, weights);
        continue;
      }
      adapters::AdapterSet adapters(decoder, config.adapter, {"a", "b", "c"}, /*seed=*/1);
      int64_t trained = 0;
      for (const auto& [name, tensor] : adapters.parameters())
        trained += name == "expert_weights" ? 0 : tensor.numel();  // found or set
      EXPECT_EQ(plan.trained_parameters, trained) << method.name;
      // One run after another, and the LoRA of each.
      const bool runs = config::is_made_of_runs(config.adapter.method);
      EXPECT_EQ(plan.optimizer_bytes, runs ? trained / 3 * 16 + trained * 4 : trained * 16) << method.name;
      adapters.detach(decoder);
    }
  }
}

/// The formulas' letters, counted by hand: two layers of q 64 x 64, k and v 64 x 32, o 64 x 64, gate and up 64 x 128,
/// down 128 x 64.
TEST(CountTrainedParameters, SaysItsFormula) {
  const nn::ModelConfig shape = small_shape();
  config::AdapterConfig adapter{.rank = 8, .experts = 4, .gate = {.embedding_size = 16}};
  const auto formula = [&](config::Method method) {
    adapter.method = method;
    return count_trained_parameters(adapter, shape, /*tasks=*/3).formula;
  };
  const std::string linears = std::to_string(2 * (128 + 96 + 96 + 128 + 192 + 192 + 192));
  EXPECT_EQ(formula(config::Method::kLora), "r S = 8 x " + linears);
  EXPECT_EQ(formula(config::Method::kUniform), "r S = 8 x " + linears);
  EXPECT_EQ(formula(config::Method::kLoraHub), "T r S = 3 x 8 x " + linears);
  EXPECT_EQ(formula(config::Method::kMolora), "r S + N I = 8 x " + linears + " + 4 x " + std::to_string(2 * 512));
  EXPECT_EQ(formula(config::Method::kMoelora), "r S + d_t (T + N) = 8 x " + linears + " + 16 x (3 + 4)");
  adapter.gate.scope = config::GateScope::kPerLayer;
  EXPECT_EQ(formula(config::Method::kMoelora), "r S + d_t (T + L N) = 8 x " + linears + " + 16 x (3 + 14 x 4)");
  EXPECT_EQ(formula(config::Method::kFull), "V d + W + n = 320 x 64 + 73984 + 320");
}

TEST(ChooseRecompute, TakesTheFirstThatFits) {
  nn::Decoder decoder = moelora::testing::load_decoder("qwen3/f32", at::kFloat);
  config::RunConfig config;
  config.train.tokens_per_batch = 64;
  EXPECT_EQ(choose_recompute(config, decoder.config(), 1), config::Recompute::kNone);
  EXPECT_EQ(choose_recompute(config, decoder.config(), 1, /*processes=*/1'000'000'000), config::Recompute::kFull);
  config.train.tokens_per_batch = 1'000'000'000;  // no machine keeps as many rows
  EXPECT_EQ(choose_recompute(config, decoder.config(), 1), config::Recompute::kFull);
  config.train.recompute = config::Recompute::kMlp;
  EXPECT_EQ(choose_recompute(config, decoder.config(), 1), config::Recompute::kMlp);
}

TEST(ChooseWeightLayout, PacksAFrozenPlainBaseWhereItFits) {
  nn::Decoder decoder = moelora::testing::load_decoder("qwen3/f32", at::kFloat);
  config::RunConfig config;
  config.train.dtype = config::DType::kFloat32;
  config.train.tokens_per_batch = 64;
  const auto chosen = [&] { return choose_weight_layout(config, decoder.config(), 1); };
  EXPECT_EQ(chosen(), config::WeightLayout::kPacked);
  EXPECT_EQ(choose_weight_layout(config, decoder.config(), 1, /*processes=*/1'000'000'000),
            config::WeightLayout::kPlain);
  config.train.tokens_per_batch = 1'000'000'000;  // no machine keeps as many rows
  EXPECT_EQ(chosen(), config::WeightLayout::kPlain);
  config.train.tokens_per_batch = 64;
  config.quantization = config::Quantization::kNf4;
  EXPECT_EQ(chosen(), config::WeightLayout::kPlain);
  config.quantization = config::Quantization::kNone;
  config.adapter.method = config::Method::kFull;
  EXPECT_EQ(chosen(), config::WeightLayout::kPlain);
}

TEST(PlanRun, ReadsAsManyTokensAsTheTasksSharesSay) {
  moelora::testing::MadeRun made;
  const Plan even = plan_run(made.setup());
  made.config.tasks["colour"].share = 1e-6;  // of which the answers are shorter
  made.config.tasks["echo"].share = 1;
  const RunSetup setup = made.setup();
  const Plan echo = plan_run(setup);
  const data::TaskTokens& task = setup.train_rows->stats()[1];
  EXPECT_NEAR(echo.tokens_per_step,
              8.0 * static_cast<double>(task.prompt_tokens + task.answer_tokens) / static_cast<double>(task.samples),
              1e-2);
  EXPECT_GT(echo.tokens_per_step, 1.05 * even.tokens_per_step);
}

TEST(PlanModel, CountsThreeCopiesOfPackedLinears) {
  nn::Decoder decoder = moelora::testing::load_decoder("qwen3/f32", at::kFloat);
  config::RunConfig config;
  config.train.dtype = config::DType::kFloat32;
  int64_t linears = 0;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& projection) {
    for (const nn::Member& member : projection->members()) linears += member.base->dense_weight().numel();
  });
  config.train.weight_layout = config::WeightLayout::kPlain;
  const int64_t plain = plan_model(config, decoder.config(), 1).weight_bytes;
  config.train.weight_layout = config::WeightLayout::kPacked;
  EXPECT_EQ(plan_model(config, decoder.config(), 1).weight_bytes - plain, 2 * 4 * linears);
}

TEST(PlanModel, CountsWhatEachRecomputationKeeps) {
  nn::Decoder decoder = moelora::testing::load_decoder("qwen3/f32", at::kFloat);
  config::RunConfig config;
  std::vector<int64_t> bytes;
  for (const auto recompute : {config::Recompute::kNone, config::Recompute::kMlp, config::Recompute::kFull}) {
    config.train.recompute = recompute;
    bytes.push_back(plan_model(config, decoder.config(), 1).activation_bytes);
  }
  EXPECT_GT(bytes[0], bytes[1]);
  EXPECT_GT(bytes[1], bytes[2]);
}

INSTANTIATE_TEST_SUITE_P(Families, PlanOfFamily, ::testing::ValuesIn(moelora::testing::kFamilies),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace moelora::train
