// 10,000 requests of four tasks with shared beginnings, arriving and leaving at random, against each request alone
// (without cache, batch and engine): nobody gets anything of another task.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "generate/made_models.h"

namespace moelora::generate {
namespace {

constexpr int64_t kRequests = 10000, kDistinct = 800;
constexpr float kTie = 1e-4f;  // the best two logits so close may come in either order, by rounding

struct Expected {
  std::vector<int32_t> tokens;
  std::vector<float> gaps;
};

/// Prompts that begin with one of six texts, most of them under several tasks.
std::vector<Request> distinct_requests() {
  std::vector<Request> requests;
  Random random(5, RandomStream::kData);
  while (std::ssize(requests) < kDistinct) {
    const uint64_t beginning = random.below(6);
    std::vector<int32_t> prompt = made_prompt(std::array{3, 16, 33, 48, 64, 70}[beginning], 100 + beginning);
    const std::vector<int32_t> rest = made_prompt(1 + random.below(12), 200 + random.below(40));
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    for (int64_t task = 0; task < 4; ++task) {
      if (random.below(4) > 0)
        requests.push_back(
            {.task = task, .prompt = prompt, .max_new_tokens = 1 + static_cast<int64_t>(random.below(6))});
    }
  }
  requests.resize(kDistinct);
  return requests;
}

/// Whether the tokens are the expected ones, as far as they are decided by more than a tie.
bool same(const std::vector<int32_t>& tokens, const Expected& expected, int64_t* ties) {
  if (tokens.size() != expected.tokens.size()) return false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == expected.tokens[i]) continue;
    *ties += expected.gaps[i] < kTie;
    return expected.gaps[i] < kTie;
  }
  return true;
}

TEST(Isolation, EveryRowOfMixedBatchesIsWhatItIsAlone) {
  const adapters::Model model = moelora_model("qwen3");
  const std::vector<Request> requests = distinct_requests();
  std::vector<Expected> expected(requests.size());
  std::map<std::vector<int32_t>, std::set<std::vector<int32_t>>> answers;  // by prompt: of all its tasks
  for (size_t i = 0; i < requests.size(); ++i) {
    expected[i].tokens = continue_without_cache(model, requests[i], &expected[i].gaps);
    answers[requests[i].prompt].insert(expected[i].tokens);
  }
  EXPECT_GT(std::ranges::count_if(answers, [](const auto& of) { return of.second.size() > 1; }),
            std::ssize(answers) / 2)
      << "else another task's answer could not be told from the right one";

  constexpr int64_t kPrefixes = 640;
  Engine engine(model, {.batch_size = 8,
                        .tokens_per_step = 96,
                        .cache_tokens = 600,
                        .prefix_cache_tokens = kPrefixes,
                        .most_waiting = 20});
  Random random(9, RandomStream::kData);
  std::map<int64_t, size_t> unfinished;  // id -> distinct request
  int64_t next = 0, compared = 0, cancelled = 0, full = 0, ties = 0, wrong = 0, most_kept = 0;
  while (next < kRequests || !engine.idle()) {
    for (uint64_t n = random.below(6); n > 0 && next < kRequests; --n) {
      const size_t which = random.below(kDistinct);
      Request request = requests[which];
      request.id = next;
      try {
        engine.submit(request);
      } catch (const QueueFull&) {
        ++full;
        break;
      }
      unfinished[next++] = which;
    }
    if (!unfinished.empty() && random.below(12) == 0) {
      const auto one = std::next(unfinished.begin(), static_cast<int64_t>(random.below(unfinished.size())));
      ASSERT_TRUE(engine.cancel(one->first));
      unfinished.erase(one);
      ++cancelled;
    }
    for (const Completion& completion : engine.step()) {
      const auto one = unfinished.find(completion.id);
      ASSERT_NE(one, unfinished.end());
      wrong += !same(completion.tokens, expected[one->second], &ties);
      ++compared;
      unfinished.erase(one);
    }
    most_kept = std::max(most_kept, engine.prefix_cache().positions());
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_LT(ties, kRequests / 100);
  EXPECT_EQ(compared + cancelled, kRequests);
  EXPECT_GT(cancelled, 100);
  EXPECT_GT(full, 0);
  EXPECT_EQ(most_kept, kPrefixes) << "the cache was full: blocks had to leave";
  EXPECT_GT(engine.counts().cached_tokens, engine.counts().prompt_tokens / 2);
  RecordProperty("compared", static_cast<int>(compared));
  RecordProperty("ties", static_cast<int>(ties));
  RecordProperty("cached_tokens", static_cast<int>(engine.counts().cached_tokens));
  RecordProperty("prompt_tokens", static_cast<int>(engine.counts().prompt_tokens));
}

}  // namespace
}  // namespace moelora::generate
