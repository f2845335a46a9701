#include "adapters/adapter_set.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "adapters/initialise.h"
#include "core/error.h"
#include "support/fixture.h"

namespace moelora::adapters {
namespace {

using testing::FixtureBatch;
using ::testing::HasSubstr;
using testing::largest_difference;
using testing::load_decoder;
using testing::relative_difference;

const std::vector<std::string> kTasks = {"criterion", "dialogue", "report"};

/// B is zero at the start; tests that look at the adapter's effect fill it.
void fill_b(const AdapterSet& adapters) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, master] : adapters.parameters()) {
    if (!name.ends_with("lora_B")) continue;
    at::Tensor b = master;
    b.copy_(normal_parameter(name, {b.size(0), b.size(1)}, 0.05, /*seed=*/3).detach());
  }
}

at::Tensor hidden_of(const nn::Decoder& decoder, const AdapterSet& adapters, std::vector<int64_t> tasks,
                     bool dropout = false, bool reversed = false) {
  const FixtureBatch batch("qwen3/even");  // three sequences of 16
  const std::vector<int64_t> cu_seqlens = batch.cu_seqlens();
  nn::Rows rows = batch.rows();
  std::vector<int64_t> keys = {100, 200, 300};
  if (reversed) {
    rows.ids = rows.ids.view({3, 16}).flip(0).reshape({48});
    std::ranges::reverse(keys);
    std::ranges::reverse(tasks);
  }
  const std::vector<int64_t> positions = testing::values(rows.positions);
  PackedTasks packed{.cu_seqlens = cu_seqlens, .tasks = tasks};
  if (dropout) {
    packed.sample_keys = keys;
    packed.positions = positions;
  }
  const auto context = adapters.rows(packed);
  nn::PackedAttention attention(cu_seqlens);
  const at::Tensor hidden = decoder.forward(rows, attention, context.get());
  return reversed ? hidden.view({3, 16, -1}).flip(0).reshape({48, -1}) : hidden;
}

TEST(AdapterSet, ChangesNothingAtTheStart) {
  const at::NoGradGuard no_grad;
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  const FixtureBatch batch("qwen3/even");
  nn::PackedAttention attention(batch.cu_seqlens());
  const at::Tensor base = decoder.forward(batch.rows(), attention, nullptr);
  const AdapterSet adapters(decoder, {.rank = 8, .experts = 4}, kTasks, /*seed=*/1);
  EXPECT_EQ(largest_difference(hidden_of(decoder, adapters, {0, 1, 2}), base), 0);
}

TEST(AdapterSet, OneExpertOfWeightOneIsPlainLora) {
  const at::NoGradGuard no_grad;
  nn::Decoder mixed = load_decoder("qwen3/f32", at::kFloat), plain = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet one_expert(mixed, {.rank = 8, .experts = 1}, kTasks, /*seed=*/1);
  AdapterSet lora(plain, {.method = config::Method::kLora, .rank = 8}, kTasks, /*seed=*/1);
  fill_b(one_expert);
  fill_b(lora);
  one_expert.refresh();
  lora.refresh();
  EXPECT_LT(relative_difference(hidden_of(mixed, one_expert, {0, 1, 2}), hidden_of(plain, lora, {0, 1, 2})), 1e-6);
}

TEST(AdapterSet, UniformWeightsAreLoraAtAlphaOverExperts) {
  const at::NoGradGuard no_grad;
  nn::Decoder mixed = load_decoder("qwen3/f32", at::kFloat), plain = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet uniform(mixed, {.method = config::Method::kUniform, .rank = 8, .alpha = 32, .experts = 4}, kTasks,
                     /*seed=*/1);
  AdapterSet lora(plain, {.method = config::Method::kLora, .rank = 8, .alpha = 8}, kTasks, /*seed=*/1);
  fill_b(uniform);
  fill_b(lora);
  uniform.refresh();
  lora.refresh();
  EXPECT_LT(relative_difference(hidden_of(mixed, uniform, {0, 1, 2}), hidden_of(plain, lora, {0, 1, 2})), 1e-6);
}

TEST(AdapterSet, ParameterCountIsTheFormulas) {
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  const nn::ModelConfig& c = decoder.config();
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim, h = c.hidden_size, i = c.intermediate_size;
  const int64_t a_layer = (h + q) + 2 * (h + kv) + (q + h) + 2 * (h + i) + (i + h);
  const AdapterSet adapters(decoder, {.rank = 8, .experts = 4, .gate = {.embedding_size = 10}}, kTasks, /*seed=*/1);
  EXPECT_EQ(adapters.parameter_count(), c.layers * 8 * a_layer + 3 * 10 + 4 * 10);
}

TEST(AdapterSet, PerLayerGatesGetAGateForEachLinear) {
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  const AdapterSet adapters(decoder, {.rank = 8, .experts = 4, .gate = {.scope = config::GateScope::kPerLayer}}, kTasks,
                            /*seed=*/1);
  EXPECT_EQ(adapters.gates().size(), static_cast<size_t>(7 * decoder.config().layers));
}

TEST(AdapterSet, ATokenGateCountsItsFormulaAndDoesNotCollapse) {
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  const nn::ModelConfig& c = decoder.config();
  const AdapterSet plain(decoder, {.method = config::Method::kLora, .rank = 8}, kTasks, /*seed=*/1);
  nn::Decoder gated = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet token(gated, {.method = config::Method::kMolora, .rank = 8, .experts = 4}, kTasks, /*seed=*/1);
  const int64_t inputs = 5 * c.hidden_size + c.heads * c.head_dim + c.intermediate_size;  // q, k, v, gate, up; o; down
  EXPECT_EQ(token.parameter_count(), plain.parameter_count() + c.layers * 4 * inputs);
  EXPECT_THROW(token.collapse(0), Error);
  EXPECT_THROW(token.merge(0), Error);
  EXPECT_THROW(token.gates(), Error);
}

TEST(AdapterSet, DropoutDoesNotDependOnThePacking) {
  const at::NoGradGuard no_grad;
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet adapters(decoder, {.rank = 8, .experts = 4, .dropout = 0.4}, kTasks, /*seed=*/1);
  fill_b(adapters);
  adapters.refresh();
  const at::Tensor with_dropout = hidden_of(decoder, adapters, {0, 1, 2}, /*dropout=*/true);
  EXPECT_LT(
      relative_difference(hidden_of(decoder, adapters, {0, 1, 2}, /*dropout=*/true, /*reversed=*/true), with_dropout),
      1e-5);
  EXPECT_GT(relative_difference(hidden_of(decoder, adapters, {0, 1, 2}), with_dropout), 1e-3);
}

TEST(AdapterSet, OnlyTargetsAreAdapted) {
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  const AdapterSet adapters(decoder, {.rank = 8, .experts = 4, .targets = {"q_proj", "v_proj"}}, kTasks, /*seed=*/1);
  std::vector<std::string> paths;
  for (const CollapsedLinear& linear : adapters.collapse(0)) paths.push_back(linear.path);
  EXPECT_EQ(paths.size(), static_cast<size_t>(2 * decoder.config().layers));
  EXPECT_EQ(paths[0], "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(paths[1], "model.layers.0.self_attn.v_proj");
}

TEST(AdapterSet, TwoSetsTakeTurnsOverOneBase) {
  const at::NoGradGuard no_grad;
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet some(decoder, {.rank = 8, .experts = 4, .targets = {"q_proj", "down_proj"}}, kTasks, /*seed=*/1);
  fill_b(some);
  some.refresh();
  const at::Tensor with_some = hidden_of(decoder, some, {0, 1, 2});
  some.set_aside(decoder);
  AdapterSet all(decoder, {.rank = 4, .experts = 2}, kTasks, /*seed=*/2);
  fill_b(all);
  all.refresh();
  const at::Tensor with_all = hidden_of(decoder, all, {0, 1, 2});
  EXPECT_GT(relative_difference(with_all, with_some), 1e-3);
  all.set_aside(decoder);
  some.put_back(decoder);
  EXPECT_TRUE(hidden_of(decoder, some, {0, 1, 2}).equal(with_some));
  some.set_aside(decoder);
  all.put_back(decoder);
  EXPECT_TRUE(hidden_of(decoder, all, {0, 1, 2}).equal(with_all));
}

TEST(AdapterSet, MergedWeightsAreThoseOfWhatIsLoadedMeanwhile) {
  nn::Decoder first = load_decoder("qwen3/f32", at::kFloat), second = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet loaded_while_merged(first, {.rank = 8, .experts = 4}, kTasks, /*seed=*/1),
      merged_after(second, {.rank = 8, .experts = 4}, kTasks, /*seed=*/1);
  std::vector<NamedTensor> values;
  for (const auto& [name, master] : merged_after.parameters()) values.emplace_back(name, master.detach().add(0.25));
  loaded_while_merged.merge(1);
  loaded_while_merged.load(values);
  merged_after.load(values);
  merged_after.merge(1);
  const at::NoGradGuard no_grad;
  std::vector<nn::Projection*> ours, theirs;
  first.for_each_projection([&](auto& projection) { ours.push_back(projection.get()); });
  second.for_each_projection([&](auto& projection) { theirs.push_back(projection.get()); });
  ASSERT_EQ(ours.size(), theirs.size());
  const at::Tensor x = at::ones({2, first.config().hidden_size});
  const std::vector<int64_t> cu_seqlens = {0, 2}, tasks = {1};
  const auto rows = loaded_while_merged.rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
  EXPECT_TRUE(ours[0]->forward(x, rows.get())[0].equal(theirs[0]->forward(x, rows.get())[0]));
}

std::string message_of(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

TEST(AdapterSet, MistakesAreNamed) {
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  EXPECT_THAT(message_of([&] { AdapterSet(decoder, {.rank = 10, .experts = 4}, kTasks, 1); }, ErrorKind::kConfig),
              HasSubstr("rank is not divisible by experts (found rank 10, experts 4"));
  AdapterSet adapters(decoder, {.rank = 8, .experts = 4}, kTasks, /*seed=*/1);
  EXPECT_THAT(message_of([&] { adapters.task_index("raport"); }, ErrorKind::kUsage),
              HasSubstr("did you mean `report`?"));

  std::vector<NamedTensor> values = adapters.parameters();
  values.pop_back();
  EXPECT_THAT(message_of([&] { adapters.load(values); }, ErrorKind::kModel), HasSubstr("missing"));
  values = adapters.parameters();
  values.emplace_back("stranger", values[0].second);
  EXPECT_THAT(message_of([&] { adapters.load(values); }, ErrorKind::kModel),
              HasSubstr("`stranger`: not part of this adapter"));
  values = adapters.parameters();
  values[0].second = values[0].second.narrow(0, 0, 1);
  EXPECT_THAT(message_of([&] { adapters.load(values); }, ErrorKind::kModel), HasSubstr("another shape"));

  for (const int64_t task : {int64_t{-1}, std::ssize(kTasks)}) {
    EXPECT_THAT(message_of([&] { adapters.merge(task); }, ErrorKind::kInternal), HasSubstr("out of range"));
  }
  adapters.merge(1);
  const std::vector<int64_t> cu_seqlens = {0, 2}, tasks = {2};
  EXPECT_THAT(message_of([&] { adapters.rows({.cu_seqlens = cu_seqlens, .tasks = tasks}); }, ErrorKind::kUsage),
              HasSubstr("another task is merged into the weights (found report; expected dialogue)"));
}

}  // namespace
}  // namespace moelora::adapters
