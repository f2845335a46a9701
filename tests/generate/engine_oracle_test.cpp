// Greedy continuations of every family, of the base and with PEFT's adapter, against transformers without a cache.
#include <gtest/gtest.h>

#include <map>

#include "generate/engine.h"
#include "generate/made_models.h"
#include "support/families.h"

namespace moelora::generate {
namespace {

class GreedyParity : public ::testing::TestWithParam<std::string> {
 protected:
  static void expect_continuations(const adapters::Model& model, const std::string& file, int64_t tokens_per_step) {
    const testing::Oracle oracle(file);
    const std::vector<int64_t> prompts = testing::values(oracle["prompts"]);
    const std::vector<int64_t> ends = testing::values(oracle["cu_seqlens"]);
    const at::Tensor expected = oracle["continuations"];
    Engine engine(model, {.batch_size = 3, .tokens_per_step = tokens_per_step});
    std::vector<Request> requests;
    for (int64_t i = 0; i + 1 < std::ssize(ends); ++i) {
      requests.push_back({.id = i,
                          .task = 0,
                          .prompt = {prompts.begin() + ends[i], prompts.begin() + ends[i + 1]},
                          .max_new_tokens = expected.size(1)});
    }
    std::map<int64_t, std::vector<int64_t>> written;
    engine.run_all(requests, [&](const Completion& completion) {
      written[completion.id].assign(completion.tokens.begin(), completion.tokens.end());
    });
    ASSERT_EQ(std::ssize(written), expected.size(0));
    for (const auto& [id, tokens] : written) EXPECT_EQ(tokens, testing::values(expected[id])) << "prompt " << id;
  }
};

TEST_P(GreedyParity, BaseContinuesAsTransformersDoes) {
  expect_continuations(base_model(GetParam()), GetParam() + "/greedy.safetensors", 2048);
}

TEST_P(GreedyParity, BaseContinuesAsTransformersDoesWithPromptsReadInPieces) {
  expect_continuations(base_model(GetParam()), GetParam() + "/greedy.safetensors", 4);
}

TEST_P(GreedyParity, AdapterContinuesAsPeftDoes) {
  expect_continuations(lora_model(GetParam()), GetParam() + "/greedy_lora.safetensors", 2048);
}

INSTANTIATE_TEST_SUITE_P(Families, GreedyParity, ::testing::ValuesIn(moelora::testing::kFamilies),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace moelora::generate
