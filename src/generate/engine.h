// Generation of many requests at once, of any tasks: sequences join when there is room and leave when they are done,
// every step is one packed forward of all of them, and each row is computed with its own task's adapter. What a request
// gets doesn't depend on what it shares its batches with, up to the rounding of products of another number of rows.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "adapters/model.h"
#include "generate/kv_cache.h"
#include "generate/sampling.h"

namespace moelora::generate {

struct Request {
  int64_t id = 0;               // the caller's; no two unfinished requests share one
  int64_t task = 0;             // AdapterSet::task_index; 0 for a model without adapters
  std::vector<int32_t> prompt;  // PromptRenderer::prompt_ids
  int64_t max_new_tokens = 0;
  Sampling sampling;
};

struct Completion {
  int64_t id = 0;
  std::vector<int32_t> tokens;  // without the stop token
  bool stopped = false;         // by a stop token; else max_new_tokens were written
  int64_t prompt_tokens = 0;
};

struct EngineOptions {
  int64_t batch_size = 16;         // sequences decoded together
  int64_t tokens_per_step = 2048;  // rows of one forward, at least batch_size: longer prompts are read in pieces
  int64_t cache_tokens = 0;        // positions that unfinished sequences may come to fill together; 0: no bound
  std::vector<int64_t> stop_ids;   // PromptRenderer::stop_ids
  /// Each token as it is written, stop tokens left out. Must not call the engine.
  std::function<void(int64_t id, int32_t token)> on_token;
};

/// What an engine has done so far.
struct EngineCounts {
  int64_t steps = 0;
  int64_t prompt_tokens = 0;  // read
  int64_t new_tokens = 0;     // written, stop tokens included
};

/// For one thread. The model must outlive the engine and not change while requests are unfinished.
class Engine {
 public:
  Engine(const adapters::Model& model, EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Queues a request. Throws Error (kLimit) where prompt and max_new_tokens together exceed the model's context or
  /// cache_tokens; Error (kUsage) for an unknown task, an empty prompt, a max_new_tokens below 1, an id in use,
  /// impossible sampling; Error (kData) for a token outside the vocabulary. Then nothing has changed.
  void submit(Request request);

  /// One forward: waiting requests join while there is room, in order of submission, and every sequence whose prompt
  /// has been read gets one token. Returns those that finished. Throws Error (kNumeric) for logits that aren't finite;
  /// whatever it throws, the sequences that had joined are gone.
  std::vector<Completion> step();

  /// Drops a request that is unfinished; false where there is none of that id. Others don't notice.
  bool cancel(int64_t id);

  bool idle() const { return waiting_.empty() && running_.empty(); }
  const EngineCounts& counts() const { return counts_; }

  /// Submits all, steps until idle, and hands over each completion as it comes. Throws Error (kInterrupted) between
  /// steps.
  void run_all(std::vector<Request> requests, const std::function<void(Completion)>& on_completion);

 private:
  struct Sequence;

  void check(const Request& request) const;
  void admit();
  std::vector<Completion> forward();

  const adapters::Model& model_;
  EngineOptions options_;
  EngineCounts counts_;
  std::deque<Request> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;  // in order of joining
  int64_t reserved_ = 0;                            // positions of the running sequences' caches
};

}  // namespace moelora::generate
