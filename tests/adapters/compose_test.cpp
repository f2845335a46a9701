// Adapters made of adapters, against what the definition says of their updates.
#include "adapters/compose.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "adapters/adapter_set.h"
#include "adapters/initialise.h"
#include "support/fixture.h"

namespace moelora::adapters {
namespace {

using testing::load_decoder;
using testing::relative_difference;

constexpr int64_t kRank = 3;
const std::vector<std::string> kTasks = {"criterion", "dialogue", "report"};
const config::AdapterConfig kLora{.method = config::Method::kLora, .rank = kRank, .alpha = 6};

class Composed : public ::testing::Test {
 protected:
  /// Three LoRAs of the fixture model, none of whose B is 0, and their updates W of each linear, computed one by one.
  Composed() {
    nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
    AdapterSet lora(decoder, kLora, {"only"}, /*seed=*/1);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      LoraTensors values;
      for (const auto& [name, master] : lora.parameters()) {
        values.emplace_back(name, normal_parameter(name, master.sizes().vec(), 0.1, seed).detach());
      }
      lora.load(values);
      updates_.push_back(updates_of(lora.collapse(0)));
      adapters_.push_back(std::move(values));
    }
  }

  static std::vector<at::Tensor> updates_of(const std::vector<CollapsedLinear>& linears) {
    std::vector<at::Tensor> updates;
    for (const CollapsedLinear& linear : linears) updates.push_back(at::mm(linear.b, linear.a));
    return updates;
  }

  /// The set that holds `experts` side by side, its table filled by `fill`.
  template <typename Fill>
  AdapterSet& composed(config::Method method, const std::vector<LoraTensors>& experts, Fill fill) {
    config::AdapterConfig config = kLora;
    config.method = method;
    set_ = std::make_unique<AdapterSet>(decoder_, config, kTasks, /*seed=*/1);
    LoraTensors tensors = stack(experts, kRank);
    at::Tensor table = at::zeros({3, 3}, at::kFloat);
    fill(table);
    tensors.emplace_back("expert_weights", table);
    set_->load(tensors);
    return *set_;
  }

  nn::Decoder decoder_ = load_decoder("qwen3/f32", at::kFloat);
  std::unique_ptr<AdapterSet> set_;
  std::vector<LoraTensors> adapters_;
  std::vector<std::vector<at::Tensor>> updates_;  // [adapter][linear]
};

TEST_F(Composed, OneLoraATaskGivesEachTaskItsOwnAtItsOwnRank) {
  const AdapterSet& set =
      composed(config::Method::kLoraPerTask, adapters_, [](at::Tensor& table) { table.fill_diagonal_(1); });
  for (int64_t task = 0; task < 3; ++task) {
    const std::vector<CollapsedLinear> linears = set.collapse(task);
    const std::vector<at::Tensor> updates = updates_of(linears);
    for (size_t i = 0; i < linears.size(); ++i) {
      EXPECT_EQ(linears[i].a.size(0), kRank);
      EXPECT_TRUE(updates[i].equal(updates_[task][i])) << linears[i].path;
    }
  }
}

TEST_F(Composed, TaskArithmeticAddsUpdates) {
  const AdapterSet& set =
      composed(config::Method::kTaskArithmetic, adapters_, [](at::Tensor& table) { table.fill_(0.4); });
  const std::vector<at::Tensor> updates = updates_of(set.collapse(1));
  for (size_t i = 0; i < updates.size(); ++i) {
    const at::Tensor sum = updates_[0][i].add(updates_[1][i]).add(updates_[2][i]).mul(0.4);
    EXPECT_LT(relative_difference(updates[i], sum), 1e-6);
  }
}

TEST_F(Composed, SumOfStateDictsMultipliesSums) {
  const std::vector<double> weights = {0.5, -1.25, 2};
  const LoraTensors sum = sum_state_dicts(adapters_, weights);
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet lora(decoder, kLora, {"only"}, /*seed=*/1);
  std::vector<std::vector<CollapsedLinear>> each;
  for (const LoraTensors& adapter : adapters_) {
    lora.load(adapter);
    each.push_back(lora.collapse(0));
  }
  lora.load(sum);
  const std::vector<CollapsedLinear> found = lora.collapse(0);
  for (size_t i = 0; i < found.size(); ++i) {
    at::Tensor expected = at::zeros({found[i].b.size(0), found[i].a.size(1)}, at::kDouble);
    for (size_t j = 0; j < 3; ++j) {  // all nine products: (Σ w B)(Σ w A), not Σ w B A
      for (size_t k = 0; k < 3; ++k) {
        expected.add_(at::mm(each[j][i].b.to(at::kDouble), each[k][i].a.to(at::kDouble)), weights[j] * weights[k]);
      }
    }
    EXPECT_LT(relative_difference(at::mm(found[i].b, found[i].a), expected), 1e-5);
  }
}

TEST_F(Composed, ABatchOfAllTasksIsComputedWithEachTasksOwn) {
  const at::NoGradGuard no_grad;
  const AdapterSet& set =
      composed(config::Method::kLoraPerTask, adapters_, [](at::Tensor& table) { table.fill_diagonal_(1); });
  const testing::FixtureBatch batch("qwen3/even");  // three sequences of 16
  const std::vector<int64_t> cu_seqlens = batch.cu_seqlens(), tasks = {2, 0, 1}, zeros = {0, 0, 0};
  nn::PackedAttention attention(cu_seqlens);
  const at::Tensor mixed =
      decoder_.forward(batch.rows(), attention, set.rows({.cu_seqlens = cu_seqlens, .tasks = tasks}).get());
  nn::Decoder decoder = load_decoder("qwen3/f32", at::kFloat);
  AdapterSet lora(decoder, kLora, {"only"}, /*seed=*/1);
  for (size_t s = 0; s < 3; ++s) {
    lora.load(adapters_[tasks[s]]);
    nn::PackedAttention alone(cu_seqlens);
    const at::Tensor hidden =
        decoder.forward(batch.rows(), alone, lora.rows({.cu_seqlens = cu_seqlens, .tasks = zeros}).get());
    EXPECT_LT(relative_difference(mixed.narrow(0, cu_seqlens[s], 16), hidden.narrow(0, cu_seqlens[s], 16)), 1e-5);
  }
}

TEST_F(Composed, DetachingGivesTheBaseBack) {
  const at::NoGradGuard no_grad;
  const testing::FixtureBatch batch("qwen3/even");
  nn::PackedAttention before(batch.cu_seqlens()), after(batch.cu_seqlens());
  const at::Tensor base = decoder_.forward(batch.rows(), before, nullptr);
  composed(config::Method::kTaskArithmetic, adapters_, [](at::Tensor& table) { table.fill_(1); }).detach(decoder_);
  EXPECT_TRUE(decoder_.forward(batch.rows(), after, nullptr).equal(base));
}

}  // namespace
}  // namespace moelora::adapters
