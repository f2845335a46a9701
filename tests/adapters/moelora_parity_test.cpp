// A whole model with MOELoRA on every linear against the method's equation, run by an independent loop over experts.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "adapters/adapter_set.h"
#include "support/adapted_logits.h"
#include "support/adapter_layout.h"
#include "support/families.h"
#include "support/fixture.h"

namespace moelora::adapters {
namespace {

using testing::FixtureBatch;
using testing::largest_difference;
using testing::load_decoder;
using testing::logits_of_task;
using testing::Oracle;
using testing::relative_difference;

constexpr int64_t kRank = 8;

class MoeloraParity : public ::testing::TestWithParam<std::tuple<std::string, std::string, config::GateNormalise>> {
 protected:
  std::string family() const { return std::get<0>(GetParam()); }
  std::string batch_folder() const { return family() + "/" + std::get<1>(GetParam()); }
  config::GateNormalise normalise() const { return std::get<2>(GetParam()); }
  const std::vector<std::string> tasks_ = {"a", "b", "c", "d"};

  config::AdapterConfig config() const {
    return {.method = config::Method::kMoelora,
            .rank = kRank,
            .alpha = 16,
            .experts = 4,
            .gate = {.normalise = normalise(), .embedding_size = 6}};
  }

  /// The oracle's values (or gradients, with a prefix) in the layout of AdapterSet::parameters().
  static at::Tensor in_our_layout(const Oracle& oracle, const std::string& prefix, const std::string& name) {
    if (name == "task_embedding") return oracle[prefix + "gate.E"];
    if (name == "gate") return oracle[prefix + "gate.W_g"];
    std::vector<at::Tensor> parts;
    for (const std::string& path : testing::member_paths(name))
      parts.push_back(oracle[prefix + path + (testing::is_stack(name) ? ".A" : ".B")]);
    return at::cat(parts, 0);
  }
};

TEST_P(MoeloraParity, LogitsLossGateAndGradientsEqualTheEquation) {
  const FixtureBatch batch(batch_folder());
  const Oracle given(family() + "/moelora.safetensors");
  const std::string kind = normalise() == config::GateNormalise::kSumOne ? "sum_one" : "mean_one";
  const Oracle expected(batch_folder() + "/moelora_" + kind + "_expected.safetensors");
  for (const auto& [recompute, form] :
       {std::pair(nn::Recompute::kNone, nn::LinearForm::kPlain), std::pair(nn::Recompute::kMlp, nn::LinearForm::kPlain),
        std::pair(nn::Recompute::kFull, nn::LinearForm::kPlain),
        std::pair(nn::Recompute::kNone, nn::LinearForm::kPacked)}) {
    nn::Decoder decoder = load_decoder(family() + "/f32", at::kFloat, form);
    AdapterSet adapters(decoder, config(), tasks_, /*seed=*/1);
    std::vector<NamedTensor> values;
    for (const auto& [name, master] : adapters.parameters()) values.emplace_back(name, in_our_layout(given, "", name));
    adapters.load(values);

    const std::vector<int64_t> cu_seqlens = batch.cu_seqlens(), tasks = batch.tasks();
    const auto rows = adapters.rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
    nn::PackedAttention attention(cu_seqlens);
    const at::Tensor hidden = decoder.forward(batch.rows(), attention, rows.get(), {.recompute = recompute});
    EXPECT_LT(largest_difference(decoder.logits(hidden), expected["logits"]), 1e-4);
    // As training computes it: the last layer on the supervised rows alone.
    nn::PackedAttention again(cu_seqlens);
    const at::Tensor supervised = decoder.forward(batch.rows(), again, rows.get(),
                                                  {.recompute = recompute, .wanted_rows = batch.supervised_rows()});
    const at::Tensor loss = batch.loss(decoder, supervised);
    EXPECT_NEAR(loss.item<double>(), expected["loss"].item<double>(), 1e-5);

    const at::Tensor weights = expected["gate.weights"];
    const GateTable gate = adapters.gates().at(0);
    for (int64_t task = 0; task < 4; ++task) {
      for (int64_t expert = 0; expert < 4; ++expert) {
        EXPECT_NEAR(gate.weights[task][expert], weights[task][expert].item<double>(), 1e-6);
      }
    }
    loss.backward();
    for (const auto& [name, master] : adapters.parameters()) {
      EXPECT_LT(relative_difference(master.grad(), in_our_layout(expected, "grad.", name)), 1e-4) << name;
    }
  }
}

TEST_P(MoeloraParity, EachTaskCollapsesExactlyAndMergesAndRestores) {
  const at::NoGradGuard no_grad;
  const FixtureBatch batch(batch_folder());
  const Oracle given(family() + "/moelora.safetensors");
  nn::Decoder decoder = load_decoder(family() + "/f32", at::kFloat);
  AdapterSet adapters(decoder, config(), tasks_, /*seed=*/1);
  std::vector<NamedTensor> values;
  for (const auto& [name, master] : adapters.parameters()) values.emplace_back(name, in_our_layout(given, "", name));
  adapters.load(values);

  nn::Decoder plain_decoder = load_decoder(family() + "/f32", at::kFloat);
  std::vector<at::Tensor> per_task;
  for (int64_t task = 0; task < 4; ++task) {
    const at::Tensor mixture = logits_of_task(decoder, adapters, batch, task);
    per_task.push_back(mixture);
    AdapterSet plain = testing::attach_collapsed(plain_decoder, adapters.collapse(task));
    EXPECT_LT(relative_difference(logits_of_task(plain_decoder, plain, batch, 0), mixture), 1e-5);
    plain.detach(plain_decoder);

    adapters.merge(task);
    adapters.merge(task);
    EXPECT_LT(relative_difference(logits_of_task(decoder, adapters, batch, task), mixture), 1e-5);
    adapters.restore();
    EXPECT_EQ(largest_difference(logits_of_task(decoder, adapters, batch, task), mixture), 0);
  }
  EXPECT_GT(largest_difference(per_task[0], per_task[1]), 1e-2) << "tasks must differ for this test to mean anything";
}

INSTANTIATE_TEST_SUITE_P(
    Families, MoeloraParity,
    ::testing::Combine(::testing::ValuesIn(moelora::testing::kFamilies), ::testing::Values("ragged", "even"),
                       ::testing::Values(config::GateNormalise::kSumOne, config::GateNormalise::kMeanOne)),
    [](const auto& info) {
      return std::get<0>(info.param) + "_" + std::get<1>(info.param) +
             (std::get<2>(info.param) == config::GateNormalise::kSumOne ? "_sum_one" : "_mean_one");
    });

}  // namespace
}  // namespace moelora::adapters
