// What a request can ask for beside its answer, and what it reads of what others have read.
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/topk.h>
#include <gtest/gtest.h>

#include <map>

#include "generate/engine.h"
#include "generate/made_models.h"

namespace moelora::generate {
namespace {

class OneRequest : public ::testing::Test {
 protected:
  static const adapters::Model& model() {
    static const adapters::Model model = moelora_model("qwen3");
    return model;
  }
  const Request request_{.id = 1, .task = 2, .prompt = made_prompt(16, 1), .max_new_tokens = 6};
};

TEST_F(OneRequest, LogprobsAreTheModelsOwnAndOfTheStopTokenToo) {
  Request request = request_;
  request.logprobs = 3;
  const std::vector<int32_t> tokens = continue_without_cache(model(), request);
  const std::vector<int64_t> stop = {tokens.back()};
  const int64_t first = std::ranges::find(tokens, tokens.back()) - tokens.begin();
  Engine engine(model(), {.stop_ids = stop});
  engine.submit(request);
  std::vector<Completion> done;
  while (done.empty()) done = engine.step();
  ASSERT_EQ(std::ssize(done[0].logprobs), first + 1);
  std::vector<int64_t> ids(request.prompt.begin(), request.prompt.end());
  for (int64_t i = 0; i <= first; ++i) {
    const at::Tensor expected = at::log_softmax(logits_alone(model(), ids, request.task)[std::ssize(ids) - 1], 0);
    const auto [values, indices] = expected.topk(3);
    const TokenLogprobs& found = done[0].logprobs[i];
    EXPECT_EQ(found.chosen.token, tokens[i]);
    EXPECT_NEAR(found.chosen.logprob, expected[tokens[i]].item<float>(), 1e-4);
    ASSERT_EQ(found.top.size(), 3u);
    for (int64_t k = 0; k < 3; ++k) {
      EXPECT_EQ(found.top[k].token, indices[k].item<int64_t>());
      EXPECT_NEAR(found.top[k].logprob, values[k].item<float>(), 1e-4);
    }
    ids.push_back(tokens[i]);
  }
}

TEST_F(OneRequest, TokensAreScoredAsTheModelWouldWriteThemHoweverTheyAreRead) {
  Request request = request_;
  request.scored = made_prompt(9, 77);
  std::vector<int64_t> ids(request.prompt.begin(), request.prompt.end());
  const int64_t prompt = std::ssize(ids);
  ids.insert(ids.end(), request.scored.begin(), request.scored.end());
  const at::Tensor expected = at::log_softmax(logits_alone(model(), ids, request.task), 1);
  for (const int64_t tokens_per_step : {2048, 5}) {
    Engine engine(model(), {.batch_size = 2, .tokens_per_step = tokens_per_step});
    engine.submit(request);
    std::vector<Completion> done;
    while (done.empty()) done = engine.step();
    ASSERT_EQ(done[0].logprobs.size(), 9u);
    for (int64_t i = 0; i < 9; ++i) {
      EXPECT_EQ(done[0].logprobs[i].chosen.token, request.scored[i]);
      EXPECT_NEAR(done[0].logprobs[i].chosen.logprob, expected[prompt - 1 + i][request.scored[i]].item<float>(), 1e-4);
    }
    EXPECT_TRUE(done[0].tokens.empty());
  }
}

TEST_F(OneRequest, SamplesOfOnePromptReadItOnce) {
  std::vector<Request> requests;
  for (int64_t i = 0; i < 6; ++i) {
    requests.push_back(
        {.id = i, .task = 1, .prompt = made_prompt(60, 1), .max_new_tokens = 3, .sampling = {.temperature = 1}});
  }
  std::map<int64_t, std::vector<int32_t>> expected, written;
  for (const Request& one : requests) expected[one.id] = continue_without_cache(model(), one);
  Engine engine(model(), {.batch_size = 8, .prefix_cache_tokens = 64});
  engine.run_all(requests, [&](const Completion& one) { written[one.id] = one.tokens; });
  EXPECT_EQ(written, expected);
  EXPECT_EQ(engine.counts().prompt_tokens, 60 + 5 * 12) << "three blocks of 16 are shared, the rest is read by each";
  EXPECT_EQ(engine.counts().cached_tokens, 5 * 48);
}

TEST_F(OneRequest, AChangedAdapterFindsNothingOfTheOneBefore) {
  adapters::Model own = moelora_model("qwen3");
  Engine engine(own, {.prefix_cache_tokens = 1024});
  const Request request{.id = 1, .task = 1, .prompt = made_prompt(60, 1), .max_new_tokens = 4};
  const auto tokens = [&] {
    std::vector<int32_t> written;
    engine.run_all({request}, [&](const Completion& one) { written = one.tokens; });
    return written;
  };
  tokens();
  std::vector<adapters::NamedTensor> values;
  for (const auto& [name, master] : own.adapters->parameters()) values.emplace_back(name, master.detach().mul(-1.5));
  own.adapters->load(values);
  EXPECT_EQ(tokens(), continue_without_cache(own, request));
  EXPECT_EQ(engine.counts().cached_tokens, 0);
  tokens();
  EXPECT_EQ(engine.counts().cached_tokens, 48);
}

}  // namespace
}  // namespace moelora::generate
