// Batches of mixed tasks: nobody's output depends on who else is there, limits are refused, nothing is lost.
#include "generate/engine.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>

#include "core/error.h"
#include "core/interrupt.h"
#include "generate/made_models.h"
#include "nn/random_weights.h"
#include "support/error_kind.h"

namespace moelora::generate {
namespace {

using moelora::testing::kind_of;

constexpr int64_t kContext = 128;  // of the fixtures

/// Twenty requests of four tasks: equal prompts under different tasks among them, and prompts from 1 to 60 tokens.
std::vector<Request> mixed_requests() {
  std::vector<Request> requests;
  for (int64_t i = 0; i < 20; ++i) {
    const int64_t prompt = i / 4;
    requests.push_back({.id = 100 + i,
                        .task = i % 4,
                        .prompt = made_prompt(1 + prompt * 59 / 4, prompt),
                        .max_new_tokens = 4 + i % 7});
  }
  return requests;
}

using Written = std::map<int64_t, std::vector<int32_t>>;

void collect(const std::vector<Completion>& completions, Written* written) {
  for (const Completion& one : completions) {
    EXPECT_TRUE(written->emplace(one.id, one.tokens).second) << "completed twice: " << one.id;
  }
}

Written run(const adapters::Model& model, const EngineOptions& options, const std::vector<Request>& requests) {
  Written written;
  Engine engine(model, options);
  engine.run_all(requests, [&](const Completion& one) { collect({one}, &written); });
  EXPECT_TRUE(engine.idle());
  return written;
}

class MixedTasks : public ::testing::Test {
 protected:
  static const adapters::Model& model() {
    static const adapters::Model model = moelora_model("qwen3");
    return model;
  }
  /// Each request by itself, without engine and cache.
  static const Written& alone() {
    static const Written written = [] {
      Written all;
      for (const Request& one : mixed_requests()) all[one.id] = continue_without_cache(model(), one);
      return all;
    }();
    return written;
  }
};

TEST_F(MixedTasks, EachTaskAnswersTheSamePromptInItsOwnWay) {
  for (int64_t prompt = 0; prompt < 5; ++prompt) {
    std::set<std::vector<int32_t>> starts;
    for (int64_t task = 0; task < 4; ++task) {
      const std::vector<int32_t>& tokens = alone().at(100 + 4 * prompt + task);
      starts.insert({tokens.begin(), tokens.begin() + 4});
    }
    EXPECT_GT(starts.size(), 1u) << "else the tests below could not see a row computed with another's adapter";
  }
}

TEST_F(MixedTasks, BatchEqualsEachRowAlone) {
  for (const int64_t batch_size : {1, 3, 8}) {
    EXPECT_EQ(run(model(), {.batch_size = batch_size}, mixed_requests()), alone()) << batch_size;
    EXPECT_EQ(run(model(), {.batch_size = batch_size, .tokens_per_step = batch_size + 5}, mixed_requests()), alone())
        << batch_size << ", prompts in pieces";
  }
}

TEST_F(MixedTasks, RowsThatComeAndGoDontChangeTheOthers) {
  for (const int64_t batch_size : {1, 3, 8}) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      Random random(seed, RandomStream::kData, static_cast<uint64_t>(batch_size));
      std::vector<Request> coming = mixed_requests();
      shuffle(coming, random);
      Engine engine(model(), {.batch_size = batch_size, .tokens_per_step = 24});
      Written written;
      std::set<int64_t> unfinished, cancelled;
      while (!coming.empty() || !engine.idle()) {
        for (uint64_t n = random.below(4); n > 0 && !coming.empty(); --n) {
          unfinished.insert(coming.back().id);
          engine.submit(std::move(coming.back()));
          coming.pop_back();
        }
        if (!unfinished.empty() && random.below(5) == 0) {
          const int64_t id = *std::next(unfinished.begin(), random.below(unfinished.size()));
          EXPECT_TRUE(engine.cancel(id));
          EXPECT_FALSE(engine.cancel(id));
          unfinished.erase(id);
          cancelled.insert(id);
        }
        const std::vector<Completion> completions = engine.step();
        for (const Completion& one : completions) EXPECT_EQ(unfinished.erase(one.id), 1u);
        collect(completions, &written);
      }
      EXPECT_TRUE(unfinished.empty());
      EXPECT_FALSE(cancelled.empty());
      EXPECT_EQ(written.size() + cancelled.size(), alone().size());
      for (const auto& [id, tokens] : written) EXPECT_EQ(tokens, alone().at(id)) << id;
    }
  }
}

TEST_F(MixedTasks, ADrawIsNamedByRequestAndStepWhateverTheBatch) {
  std::vector<Request> requests = mixed_requests();
  Written expected;
  for (Request& one : requests) {
    one.sampling = {.temperature = 1, .top_k = 50, .top_p = 0.95, .min_p = 0.001, .repetition_penalty = 1.2, .seed = 3};
    expected[one.id] = continue_without_cache(model(), one);
  }
  EXPECT_EQ(run(model(), {.batch_size = 1}, requests), expected);
  EXPECT_EQ(run(model(), {.batch_size = 8}, requests), expected);
  EXPECT_NE(expected, alone());
}

TEST_F(MixedTasks, AMergedTaskIsServedAloneAndTheOthersRefused) {
  adapters::Model own = moelora_model("qwen3");
  own.adapters->merge(2);
  Engine engine(own, {});
  const Request request = mixed_requests()[2];
  engine.submit(request);
  Written written;
  while (!engine.idle()) collect(engine.step(), &written);
  EXPECT_EQ(written.at(request.id), alone().at(request.id));
  engine.submit(mixed_requests()[1]);
  EXPECT_THROW(engine.step(), Error);
}

TEST_F(MixedTasks, ARowEndsAtItsFirstStopTokenWhichIsNotPartOfIt) {
  const Request request = mixed_requests()[6];
  const std::vector<int32_t>& tokens = alone().at(request.id);
  for (size_t place = 0; place < tokens.size(); ++place) {
    const size_t first = std::find(tokens.begin(), tokens.end(), tokens[place]) - tokens.begin();
    std::vector<int32_t> streamed;
    Engine engine(model(), {.stop_ids = {tokens[place], 1 << 20}, .on_token = [&](int64_t, int32_t token) {
                              streamed.push_back(token);
                              return true;
                            }});
    engine.run_all({request}, [&](const Completion& one) {
      EXPECT_TRUE(one.stopped);
      EXPECT_EQ(one.tokens, std::vector<int32_t>(tokens.begin(), tokens.begin() + static_cast<int64_t>(first)));
      EXPECT_EQ(one.tokens, streamed);
      EXPECT_EQ(one.prompt_tokens, std::ssize(request.prompt));
    });
    EXPECT_EQ(engine.counts().new_tokens, static_cast<int64_t>(first) + 1);
  }
}

TEST_F(MixedTasks, AFinishedRowsPlaceIsTakenAtTheNextStep) {
  std::vector<Request> requests = mixed_requests();
  requests.resize(5);
  const std::vector<int64_t> lengths = {7, 2, 3, 1, 4};
  for (size_t i = 0; i < requests.size(); ++i) requests[i].max_new_tokens = lengths[i];
  Engine engine(model(), {.batch_size = 2});
  engine.run_all(requests, [](const Completion&) {});
  EXPECT_EQ(engine.counts().steps, 10);  // 2 + 3 + 1 + 4, one after another beside the 7
  EXPECT_EQ(engine.counts().new_tokens, 17);
}

TEST_F(MixedTasks, AForwardHasNoMoreRowsThanAllowed) {
  std::vector<Request> requests;
  for (int64_t i = 0; i < 2; ++i)
    requests.push_back({.id = i, .task = i, .prompt = made_prompt(60, 1), .max_new_tokens = 9});
  const auto steps = [&](int64_t tokens_per_step) {
    Engine engine(model(), {.batch_size = 2, .tokens_per_step = tokens_per_step});
    engine.run_all(requests, [](const Completion&) {});
    EXPECT_EQ(engine.counts().prompt_tokens, 120);
    return engine.counts().steps;
  };
  EXPECT_EQ(steps(120), 9);
  EXPECT_EQ(steps(60), 11);  // of the second prompt 59 rows beside a written token, then the last one
  EXPECT_EQ(steps(16), 16);  // 16 + 16 + 16 + 12 of the first with 4 of the second, of which then 15 + 15 + 15 + 11
}

TEST_F(MixedTasks, TheCacheBoundHoldsBackWhatWouldExceedIt) {
  std::vector<Request> requests;
  for (int64_t i = 0; i < 4; ++i)
    requests.push_back({.id = i, .task = i, .prompt = made_prompt(10, 1), .max_new_tokens = 6});
  const auto steps = [&](int64_t cache_tokens) {
    Engine engine(model(), {.batch_size = 4, .cache_tokens = cache_tokens});
    engine.run_all(requests, [](const Completion&) {});
    return engine.counts().steps;
  };
  EXPECT_EQ(steps(0), 6);
  EXPECT_EQ(steps(60), 6);  // 15 positions each
  EXPECT_EQ(steps(59), 12);
  EXPECT_EQ(steps(16), 24);
}

TEST_F(MixedTasks, ContextIsFilledToTheLastPositionAndNotExceeded) {
  const Request full{.id = 1, .task = 1, .prompt = made_prompt(kContext - 3, 4), .max_new_tokens = 3};
  EXPECT_EQ(run(model(), {}, {full}).at(1), continue_without_cache(model(), full));
  Engine engine(model(), {});
  Request over = full;
  over.max_new_tokens = 4;
  EXPECT_EQ(kind_of([&] { engine.submit(over); }), ErrorKind::kLimit);
  over.max_new_tokens = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(kind_of([&] { engine.submit(over); }), ErrorKind::kLimit);
  EXPECT_TRUE(engine.idle());
}

TEST_F(MixedTasks, ARefusedRequestLeavesEverythingAsItWas) {
  Engine engine(model(), {.cache_tokens = 70});
  const Request good = mixed_requests()[9];
  engine.submit(good);
  const auto refused = [&](ErrorKind kind, const std::function<void(Request&)>& spoil) {
    Request request{.id = 1, .task = 0, .prompt = {5, 6}, .max_new_tokens = 1};
    spoil(request);
    EXPECT_EQ(kind_of([&] { engine.submit(request); }), kind);
  };
  refused(ErrorKind::kUsage, [](Request& one) { one.task = 4; });
  refused(ErrorKind::kUsage, [](Request& one) { one.task = -1; });
  refused(ErrorKind::kUsage, [](Request& one) { one.prompt.clear(); });
  refused(ErrorKind::kUsage, [](Request& one) { one.max_new_tokens = 0; });
  refused(ErrorKind::kUsage, [](Request& one) { one.sampling.top_p = 2; });
  refused(ErrorKind::kUsage, [&](Request& one) { one.id = good.id; });
  refused(ErrorKind::kData, [](Request& one) { one.prompt[1] = 320; });
  refused(ErrorKind::kData, [](Request& one) { one.prompt[0] = -1; });
  refused(ErrorKind::kLimit, [](Request& one) { one.max_new_tokens = 69; });
  Written written;
  while (!engine.idle()) collect(engine.step(), &written);
  EXPECT_EQ(written, (Written{{good.id, alone().at(good.id)}}));
  engine.submit(good);  // the id is free again
}

TEST_F(MixedTasks, RepetitionsArePenalisedWhereTheBestIsTakenToo) {
  Request request = mixed_requests()[9];
  request.max_new_tokens = 30;
  const std::vector<int32_t> before = continue_without_cache(model(), request);
  request.sampling.repetition_penalty = 5;
  const std::vector<int32_t> expected = continue_without_cache(model(), request);
  EXPECT_EQ(run(model(), {}, {request}).at(request.id), expected);
  EXPECT_NE(expected, before);
}

TEST_F(MixedTasks, AFullQueueIsAnErrorOfItsOwnAndLosesNothing) {
  Engine engine(model(), {.batch_size = 1, .most_waiting = 2});
  std::vector<Request> requests = mixed_requests();
  engine.submit(requests[0]);
  engine.submit(requests[1]);
  EXPECT_THROW(engine.submit(requests[2]), QueueFull);
  Written written;
  collect(engine.step(), &written);
  engine.submit(requests[2]);  // the first has joined
  while (!engine.idle()) collect(engine.step(), &written);
  EXPECT_EQ(written.size(), 3u);
  EXPECT_EQ(run(model(), {.batch_size = 2, .most_waiting = 1}, requests), alone());
}

TEST(Engine, RefusesImpossibleBatches) {
  const adapters::Model model = base_model("qwen3");
  for (const auto& [batch_size, tokens_per_step, cache_tokens] :
       std::vector<std::array<int64_t, 3>>{{0, 10, 0}, {11, 10, 0}, {1, 10, -1}}) {
    EXPECT_EQ(kind_of([&, b = batch_size, t = tokens_per_step, c = cache_tokens] {
                Engine(model, {.batch_size = b, .tokens_per_step = t, .cache_tokens = c});
              }),
              ErrorKind::kUsage);
  }
}

TEST(Engine, WithoutRequestsNothingHappens) {
  const adapters::Model model = base_model("qwen3");
  Engine engine(model, {});
  EXPECT_TRUE(engine.step().empty());
  engine.run_all({}, [](const Completion&) { FAIL(); });
  EXPECT_EQ(engine.counts().steps, 0);
}

/// Weights of which one is NaN.
class DamagedWeights : public nn::RandomWeights {
 public:
  using nn::RandomWeights::RandomWeights;
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) override {
    const at::Tensor weight = RandomWeights::load(name, shape, dtype);
    if (name == "lm_head.weight") weight.select(0, 7).fill_(std::nan(""));
    return weight;
  }
};

TEST(Engine, LogitsThatArentFiniteAreAnErrorAndThoseWaitingAreKept) {
  DamagedWeights weights(1, 0.02);
  nn::ModelConfig config = base_model("llama").decoder->config();
  adapters::Model model{std::make_unique<nn::Decoder>(config, weights, at::kFloat), nullptr};
  Engine engine(model, {.batch_size = 1});
  engine.submit({.id = 1, .prompt = {5}, .max_new_tokens = 2});
  engine.submit({.id = 2, .prompt = {5}, .max_new_tokens = 2});
  EXPECT_EQ(kind_of([&] { engine.step(); }), ErrorKind::kNumeric);
  EXPECT_FALSE(engine.cancel(1));
  EXPECT_TRUE(engine.cancel(2));
  Engine scoring(model, {.batch_size = 1});
  scoring.submit({.id = 1, .prompt = {5}, .scored = {3, 4}});
  EXPECT_EQ(kind_of([&] { scoring.step(); }), ErrorKind::kNumeric);
}

TEST(EngineDeathTest, RunAllStopsAtASignal) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto interrupted = [] {
    install_interrupt_handlers();
    const adapters::Model model = base_model("qwen3");
    int64_t tokens = 0;
    Engine engine(model, {.on_token = [&](int64_t, int32_t) {
                    if (++tokens == 3) std::raise(SIGTERM);
                    return true;
                  }});
    try {
      engine.run_all({{.id = 1, .prompt = {5, 6}, .max_new_tokens = 100}}, [](const Completion&) {});
    } catch (const Error& error) {
      std::_Exit(tokens == 3 ? error.exit_code() : 1);
    }
  };
  EXPECT_EXIT(interrupted(), ::testing::ExitedWithCode(75), "");
}

}  // namespace
}  // namespace moelora::generate
