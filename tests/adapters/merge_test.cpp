// Merging task after task and restoring leaves no trace: the weights are those bits in those places again, and the
// logits too.
#include <gtest/gtest.h>

#include "adapters/adapter_set.h"
#include "support/adapted_logits.h"
#include "support/gradcheck.h"
#include "support/methods.h"

namespace moelora::adapters {
namespace {

using testing::FixtureBatch;
using testing::largest_difference;
using testing::logits_of_task;

/// Every weight of a decoder, embedding, norms and head too, and where it lies.
struct WeightRecord {
  std::string name;
  at::Tensor copy;
  const void* address;
};

std::vector<WeightRecord> record(nn::Decoder& decoder) {
  std::vector<WeightRecord> all;
  const auto add = [&](const std::string& name, const at::Tensor& weight) {
    all.push_back({name, weight.detach().clone(), weight.const_data_ptr()});
  };
  for (const nn::WeightPtr& weight : decoder.weights()) add(weight->name(), weight->stored());
  add("the head as it is multiplied", decoder.head());
  decoder.for_each_projection([&](const std::unique_ptr<nn::Projection>& projection) {
    for (const nn::Member& member : projection->members()) {
      add(member.path + ".weight of its projection", member.base->dense_weight());
      if (member.base->bias().defined()) add(member.path + ".bias of its projection", member.base->bias());
    }
  });
  return all;
}

void expect_unchanged(nn::Decoder& decoder, const std::vector<WeightRecord>& before) {
  const std::vector<WeightRecord> now = record(decoder);
  ASSERT_EQ(now.size(), before.size());
  for (size_t i = 0; i < now.size(); ++i) {
    EXPECT_EQ(now[i].name, before[i].name);
    EXPECT_TRUE(now[i].copy.equal(before[i].copy)) << now[i].name;
    EXPECT_EQ(now[i].address, before[i].address) << now[i].name << " shares its memory with others than before";
  }
}

void expect_no_trace(const std::string& family, at::ScalarType dtype, const moelora::testing::MethodCase& method) {
  const bool wide = dtype == at::kFloat;
  const FixtureBatch batch(family + "/ragged");
  nn::Decoder decoder = testing::load_decoder(family + (wide ? "/f32" : "/bf16"), dtype);
  const std::vector<WeightRecord> pristine = record(decoder);
  config::AdapterConfig config{.rank = 8, .alpha = 16, .experts = 4, .gate = {.embedding_size = 6}};
  method.apply_to(config);
  TaskList tasks{.names = {"a", "b", "c"}};
  if (method.own_steps) tasks.snapshots = {0, 1, 0};
  AdapterSet adapters(decoder, config, tasks, /*seed=*/1);
  const at::Tensor base = logits_of_task(decoder, adapters, batch, 0);  // B is 0
  std::vector<NamedTensor> values;
  for (const auto& [name, master] : adapters.parameters())
    values.emplace_back(name, test::random_tensor(master.sizes().vec(), 1 + values.size(), 0.2).to(at::kFloat));
  adapters.load(values);
  const at::Tensor first = logits_of_task(decoder, adapters, batch, 0),
                   second = logits_of_task(decoder, adapters, batch, 1);
  const auto merged = [&](int64_t task) {
    adapters.merge(task);
    expect_unchanged(decoder, pristine);
    return logits_of_task(decoder, adapters, batch, task);
  };
  const at::Tensor first_merged = merged(0), second_merged = merged(1);
  EXPECT_TRUE(merged(0).equal(first_merged));
  EXPECT_LT(largest_difference(first_merged, first), (wide ? 1e-4 : 0.2) * largest_difference(base, first));
  EXPECT_LT(largest_difference(second_merged, second), (wide ? 1e-4 : 0.2) * largest_difference(base, second));
  const bool differ =
      method.own_steps || config::has_task_gate(method.method) || config::is_made_of_runs(method.method);
  if (differ) {
    EXPECT_GT(largest_difference(second, first), 0.1 * largest_difference(base, first)) << "tasks are to differ";
  } else {
    EXPECT_TRUE(second.equal(first)) << "the adapter sees no task";
  }

  adapters.restore();
  expect_unchanged(decoder, pristine);
  EXPECT_TRUE(logits_of_task(decoder, adapters, batch, 0).equal(first));
  EXPECT_TRUE(logits_of_task(decoder, adapters, batch, 1).equal(second));
  adapters.detach(decoder);
  expect_unchanged(decoder, pristine);
  const at::NoGradGuard no_grad;
  nn::PackedAttention attention(batch.cu_seqlens());
  EXPECT_TRUE(decoder.logits(decoder.forward(batch.rows(), attention, nullptr)).equal(base));
}

class Merging : public ::testing::TestWithParam<moelora::testing::MethodCase> {};

TEST_P(Merging, AndRestoringLeavesEveryWeightAndLogitAsItWas) {
  expect_no_trace("qwen2", at::kFloat, GetParam());
}

// qwen3's head is its embedding; qwen2 has biases.
TEST(MergingInto, BothFamiliesAndNarrowWeightsLeavesThemAsTheyWere) {
  for (const std::string family : {"qwen2", "qwen3"}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      for (const config::GateScope scope : {config::GateScope::kShared, config::GateScope::kPerLayer}) {
        SCOPED_TRACE(family + " " + at::toString(dtype) +
                     (scope == config::GateScope::kShared ? " shared" : " per layer"));
        expect_no_trace(family, dtype, {.scope = scope});
      }
    }
  }
}

std::vector<moelora::testing::MethodCase> all_that_merge() {
  std::vector<moelora::testing::MethodCase> all = moelora::testing::methods_and_own_steps();
  std::erase_if(all, [](const moelora::testing::MethodCase& method) { return !method.collapses(); });
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Merging, ::testing::ValuesIn(all_that_merge()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace moelora::adapters
