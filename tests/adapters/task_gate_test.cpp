// What a gate says without gradient is kept from refresh to refresh; it must be what the masters say all the same.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "adapters/mixer.h"

namespace moelora::adapters {
namespace {

constexpr int64_t kRank = 8, kExperts = 4;

struct TaskGateWeights : ::testing::Test {
  TaskGateWeights() {
    rows.emplace(PackedTasks{.cu_seqlens = cu_seqlens, .tasks = tasks});
    gate.refresh();
  }

  at::Tensor without_gradient() const {
    const at::NoGradGuard no_grad;
    return gate.row_weights(*rows, {});
  }

  std::vector<int64_t> cu_seqlens = {0, 2, 3, 5}, tasks = {2, 0, 1};
  std::shared_ptr<TaskEmbedding> embedding =
      std::make_shared<TaskEmbedding>(TaskList{.names = {"a", "b", "c"}}, /*size=*/6, /*seed=*/5);
  TaskGate gate{{.name = "gate", .rank = kRank, .experts = kExperts, .mean_one = true, .seed = 5}, embedding};
  std::optional<TaskRows> rows;
};

TEST_F(TaskGateWeights, WithAndWithoutGradientAreTheSameBits) {
  const at::Tensor with = gate.row_weights(*rows, {});
  EXPECT_TRUE(with.requires_grad());
  EXPECT_FALSE(without_gradient().requires_grad());
  EXPECT_TRUE(without_gradient().equal(with));
  EXPECT_TRUE(without_gradient()[0].equal(gate.task_weights(2)));
}

TEST_F(TaskGateWeights, FollowMastersThatAreChangedInPlace) {
  const at::Tensor before = without_gradient();
  const at::NoGradGuard no_grad;
  embedding->table[2].fill_(0);
  EXPECT_TRUE(at::allclose(without_gradient()[0], at::ones({kRank}))) << "an embedding of 0 is uniform";
  EXPECT_TRUE(without_gradient()[2].equal(before[2]));
  for (const auto& [name, master] : gate.parameters()) master.mul_(2);
  EXPECT_FALSE(without_gradient()[2].equal(before[2]));
}

TEST_F(TaskGateWeights, FollowMastersThatAreWrittenByAddressOnceRefreshed) {
  float* table = embedding->table.mutable_data_ptr<float>();  // as an optimizer's pass does
  std::fill_n(table + 2 * 6, 6, 0.0F);
  gate.refresh();
  EXPECT_TRUE(at::allclose(without_gradient()[0], at::ones({kRank})));
}

}  // namespace
}  // namespace moelora::adapters
