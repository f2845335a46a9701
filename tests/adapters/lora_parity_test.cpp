// Plain LoRA against transformers + PEFT on the same weights and batch: logits, loss, and the gradient of every lora_A
// and lora_B.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "adapters/adapter_set.h"
#include "support/adapter_layout.h"
#include "support/families.h"
#include "support/fixture.h"

namespace moelora::adapters {
namespace {

using testing::FixtureBatch;
using testing::largest_difference;
using testing::load_decoder;
using testing::Oracle;
using testing::relative_difference;

/// PEFT's tensors (or their gradients, with a prefix) in the layout of AdapterSet::parameters().
at::Tensor in_our_layout(const Oracle& oracle, const std::string& prefix, const std::string& parameter) {
  const std::string half = testing::is_stack(parameter) ? ".lora_A.weight" : ".lora_B.weight";
  std::vector<at::Tensor> parts;
  for (const std::string& path : testing::member_paths(parameter))
    parts.push_back(oracle[prefix + "base_model.model." + path + half]);
  return at::cat(parts, 0);
}

class LoraParity : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  std::string family() const { return std::get<0>(GetParam()); }
  std::string batch_folder() const { return family() + "/" + std::get<1>(GetParam()); }
  const config::AdapterConfig config_{.method = config::Method::kLora, .rank = 8, .alpha = 16};
  const std::vector<std::string> tasks_ = {"a", "b", "c", "d"};
};

TEST_P(LoraParity, LogitsLossAndGradientsEqualPeft) {
  const FixtureBatch batch(batch_folder());
  const Oracle adapter(family() + "/adapter/adapter_model.safetensors");
  const Oracle expected(batch_folder() + "/lora_expected.safetensors");
  for (const nn::Recompute recompute : {nn::Recompute::kNone, nn::Recompute::kMlp, nn::Recompute::kFull}) {
    nn::Decoder decoder = load_decoder(family() + "/f32", at::kFloat);
    AdapterSet adapters(decoder, config_, tasks_, /*seed=*/1);
    std::vector<NamedTensor> values;
    for (const auto& [name, master] : adapters.parameters())
      values.emplace_back(name, in_our_layout(adapter, "", name));
    adapters.load(values);

    const std::vector<int64_t> cu_seqlens = batch.cu_seqlens(), tasks = batch.tasks();
    const auto rows = adapters.rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
    nn::PackedAttention attention(cu_seqlens);
    const at::Tensor hidden = decoder.forward(batch.rows(), attention, rows.get(), {.recompute = recompute});
    EXPECT_LT(largest_difference(decoder.logits(hidden), expected["logits"]), 1e-4);
    EXPECT_LT(largest_difference(decoder.logits(hidden), expected["logits"]), 1e-3 * expected["effect"].item<double>());
    // As training computes it: the last layer on the supervised rows alone.
    nn::PackedAttention again(cu_seqlens);
    const at::Tensor supervised = decoder.forward(batch.rows(), again, rows.get(),
                                                  {.recompute = recompute, .wanted_rows = batch.supervised_rows()});
    const at::Tensor loss = batch.loss(decoder, supervised);
    EXPECT_NEAR(loss.item<double>(), expected["loss_f64"].item<double>(), 1e-5);
    loss.backward();
    for (const auto& [name, master] : adapters.parameters()) {
      EXPECT_LT(relative_difference(master.grad(), in_our_layout(expected, "grad.", name)), 1e-4) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, LoraParity,
                         ::testing::Combine(::testing::ValuesIn(moelora::testing::kFamilies),
                                            ::testing::Values("ragged", "even")),
                         [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param); });

}  // namespace
}  // namespace moelora::adapters
