// Two adapted linears in float64 against the loop over experts written from the method's equation: outputs and every
// gradient, for several tasks in one batch, N = 1, 2, 8, batch = length and batch ≠ length, shared and per-layer gates.
#include <gtest/gtest.h>

#include "adapters/adapted_projection.h"
#include "adapters/token_gate.h"
#include "core/error.h"
#include "support/adapter_layout.h"
#include "support/fixture.h"

namespace moelora::adapters {
namespace {

using testing::Oracle;
using testing::relative_difference;
using testing::set_value;
using testing::values;

constexpr double kTolerance = 1e-12;

constexpr int64_t kRank = 8;
constexpr double kAlpha = 20;

class LayerOracle : public ::testing::TestWithParam<std::tuple<const char*, const char*, const char*, const char*>> {
 protected:
  std::string scope() const { return std::get<0>(GetParam()); }
  bool mean_one() const { return std::string(std::get<1>(GetParam())) == "mean_one"; }
  int64_t experts() const { return std::stoll(std::get<2>(GetParam())); }
  std::string file() const {
    return "moelora_layer/" + scope() + "_" + std::get<1>(GetParam()) + "_n" + std::get<2>(GetParam()) + "_" +
           std::get<3>(GetParam()) + ".safetensors";
  }
};

std::unique_ptr<AdaptedProjection> make_layer(const Oracle& oracle, const std::string& layer,
                                              std::shared_ptr<const Mixer> mixer) {
  std::vector<nn::Member> members = {
      {layer,
       std::make_shared<nn::PlainLinear>(std::make_shared<nn::Weight>(layer + ".weight", oracle[layer + ".weight"]),
                                         std::make_shared<nn::Weight>(layer + ".bias", oracle[layer + ".bias"]))}};
  auto projection = std::make_unique<AdaptedProjection>(
      std::make_unique<nn::BaseProjection>(std::move(members)), std::vector{std::move(mixer)},
      ExpertOptions{.rank = kRank, .scale = kAlpha / kRank}, at::kDouble);
  for (const NamedTensor& parameter : projection->parameters()) {
    set_value(parameter, oracle[layer + (parameter.first.ends_with("lora_A") ? ".A" : ".B")]);
  }
  projection->refresh();
  return projection;
}

TEST_P(LayerOracle, OutputsAndEveryGradientEqualTheEquation) {
  const Oracle oracle(file());
  const std::vector<int64_t> cu_seqlens = values(oracle["cu_seqlens"]), tasks = values(oracle["tasks"]);
  TaskRows rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
  const bool shared = scope() == "shared";

  std::vector<std::shared_ptr<TaskEmbedding>> embeddings;
  std::vector<std::shared_ptr<const TaskGate>> gates;
  for (const std::string& prefix :
       shared ? std::vector<std::string>{""} : std::vector<std::string>{"layers.0.", "layers.1."}) {
    embeddings.push_back(std::make_shared<TaskEmbedding>(TaskList{.names = {"a", "b", "c", "d"}}, 6, /*seed=*/1));
    set_value({"task_embedding", embeddings.back()->table}, oracle[prefix + "gate.E"]);
    gates.push_back(std::make_shared<TaskGate>(
        GateOptions{.name = prefix + "gate", .rank = kRank, .experts = experts(), .mean_one = mean_one()},
        embeddings.back()));
    set_value(gates.back()->parameters()[0], oracle[prefix + "gate.W_g"]);
  }
  if (shared) rows.set_shared_weights(gates[0]->row_weights(rows, {}));

  std::vector<std::unique_ptr<AdaptedProjection>> layers;
  for (size_t i = 0; i < 2; ++i) {
    const std::shared_ptr<const Mixer> shared_gate = std::make_shared<SharedGate>(gates[0]);
    layers.push_back(make_layer(oracle, "layers." + std::to_string(i), shared ? shared_gate : gates[i]));
  }
  const at::Tensor x = oracle["x"].clone().requires_grad_(true);
  const at::Tensor middle = layers[0]->forward(x, &rows)[0];
  const at::Tensor y = layers[1]->forward(middle, &rows)[0];
  EXPECT_LT(relative_difference(middle, oracle["y.0"]), kTolerance);
  EXPECT_LT(relative_difference(y, oracle["y"]), kTolerance);

  y.backward(oracle["dy"]);
  EXPECT_LT(relative_difference(x.grad(), oracle["grad.x"]), kTolerance);
  for (size_t i = 0; i < 2; ++i) {
    for (const auto& [name, master] : layers[i]->parameters()) {
      const std::string half = name.ends_with("lora_A") ? ".A" : ".B";
      EXPECT_LT(relative_difference(master.grad(), oracle["grad.layers." + std::to_string(i) + half]), kTolerance)
          << name;
    }
  }
  for (size_t i = 0; i < gates.size(); ++i) {
    const std::string prefix = shared ? "" : "layers." + std::to_string(i) + ".";
    EXPECT_LT(relative_difference(embeddings[i]->table.grad(), oracle["grad." + prefix + "gate.E"]), kTolerance);
    EXPECT_LT(relative_difference(gates[i]->parameters()[0].second.grad(), oracle["grad." + prefix + "gate.W_g"]),
              kTolerance);
    for (int64_t task = 0; task < 4; ++task) {
      EXPECT_LT(relative_difference(gates[i]->expert_weights(task), oracle[prefix + "gate.weights"][task]), kTolerance);
    }
  }
}

class TokenGateOracle : public LayerOracle {};

TEST_P(TokenGateOracle, OutputsAndEveryGradientEqualTheEquation) {
  const Oracle oracle(file());
  const std::vector<int64_t> cu_seqlens = values(oracle["cu_seqlens"]), tasks = values(oracle["tasks"]);
  const TaskRows rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
  std::vector<std::shared_ptr<const TokenGate>> gates;
  std::vector<std::unique_ptr<AdaptedProjection>> layers;
  for (const std::string layer : {"layers.0", "layers.1"}) {
    const at::Tensor weight = oracle[layer + ".gate.W_g"];
    gates.push_back(std::make_shared<TokenGate>(
        GateOptions{.name = layer + ".gate", .rank = kRank, .experts = experts(), .mean_one = mean_one()},
        weight.size(1)));
    set_value(gates.back()->parameters()[0], weight);
    layers.push_back(make_layer(oracle, layer, gates.back()));
  }
  const at::Tensor x = oracle["x"].clone().requires_grad_(true);
  const at::Tensor middle = layers[0]->forward(x, &rows)[0];
  const at::Tensor y = layers[1]->forward(middle, &rows)[0];
  EXPECT_LT(relative_difference(middle, oracle["y.0"]), kTolerance);
  EXPECT_LT(relative_difference(y, oracle["y"]), kTolerance);

  y.backward(oracle["dy"]);
  EXPECT_LT(relative_difference(x.grad(), oracle["grad.x"]), kTolerance);
  for (size_t i = 0; i < 2; ++i) {
    const std::string layer = "grad.layers." + std::to_string(i);
    for (const auto& [name, master] : layers[i]->parameters()) {
      EXPECT_LT(relative_difference(master.grad(), oracle[layer + (name.ends_with("lora_A") ? ".A" : ".B")]),
                kTolerance)
          << name;
    }
    EXPECT_LT(relative_difference(gates[i]->parameters()[0].second.grad(), oracle[layer + ".gate.W_g"]), kTolerance);
    EXPECT_THROW(layers[i]->merge(0), Error);  // no task has weights of its own
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, TokenGateOracle,
                         ::testing::Combine(::testing::Values("token"), ::testing::Values("sum_one", "mean_one"),
                                            ::testing::Values("1", "2", "8"),
                                            ::testing::Values("batch_not_length", "batch_is_length", "ragged")),
                         [](const auto& info) {
                           return std::string(std::get<1>(info.param)) + "_n" + std::get<2>(info.param) + "_" +
                                  std::get<3>(info.param);
                         });

INSTANTIATE_TEST_SUITE_P(Cases, LayerOracle,
                         ::testing::Combine(::testing::Values("shared", "per_layer"),
                                            ::testing::Values("sum_one", "mean_one"), ::testing::Values("1", "2", "8"),
                                            ::testing::Values("batch_not_length", "batch_is_length", "ragged")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param) + "_n" +
                                  std::get<2>(info.param) + "_" + std::get<3>(info.param);
                         });

}  // namespace
}  // namespace moelora::adapters
