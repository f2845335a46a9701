// Generation of many requests at once, of any tasks: sequences join when there is room and leave when they are done,
// every step is one packed forward of all of them, and each row is computed with its own task's adapter. What a request
// gets doesn't depend on what it shares its batches with, up to the rounding of products of another number of rows.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "adapters/model.h"
#include "core/error.h"
#include "generate/logprobs.h"
#include "generate/prefix_cache.h"
#include "generate/sampling.h"

namespace moelora::generate {

struct Request {
  int64_t id = 0;               // the caller's; no two unfinished requests share one
  int64_t task = 0;             // AdapterSet::task_index; 0 for a model without adapters
  std::vector<int32_t> prompt;  // PromptRenderer::prompt_ids
  int64_t max_new_tokens = 0;
  Sampling sampling;
  int64_t logprobs = -1;        // of each token written (0), and of so many best ones in its place; -1: none
  std::vector<int32_t> scored;  // not empty: nothing is written; asked for are the log-probabilities of these tokens
                                // after the prompt. max_new_tokens and sampling don't matter
  std::string where;            // what errors call it ("in.jsonl:7"); empty: "request <id>"
};

struct Completion {
  int64_t id = 0;
  std::vector<int32_t> tokens;          // without the stop token
  bool stopped = false;                 // by a stop token or on_token; else max_new_tokens were written
  std::vector<TokenLogprobs> logprobs;  // of tokens and the stop token, or of those scored, where asked for
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of them, taken from the prefix cache
};

struct EngineOptions {
  int64_t batch_size = 16;          // sequences decoded together
  int64_t tokens_per_step = 2048;   // rows of one forward, at least batch_size: longer prompts are read in pieces
  int64_t cache_tokens = 0;         // positions that unfinished sequences may come to fill together; 0: no bound
  int64_t prefix_cache_tokens = 0;  // positions kept of what has been read, for prompts that begin the same; 0: none
  int64_t most_waiting = 0;         // requests that may wait for room; 0: no bound
  std::vector<int64_t> stop_ids;    // PromptRenderer::stop_ids
  /// Each token as it is written, stop tokens left out. False ends the sequence with it. Must not call the engine.
  std::function<bool(int64_t id, int32_t token)> on_token;
};

/// What an engine has done so far.
struct EngineCounts {
  int64_t steps = 0;
  int64_t prompt_tokens = 0;  // read
  int64_t cached_tokens = 0;  // of prompts, taken from the prefix cache instead
  int64_t new_tokens = 0;     // written, stop tokens included
};

/// As many requests wait as may: try again once some have finished.
class QueueFull : public Error {
 public:
  explicit QueueFull(int64_t most_waiting);
};

/// For one thread. The model must outlive the engine; its decoder must not change, its adapters not while requests are
/// unfinished.
class Engine {
 public:
  Engine(const adapters::Model& model, EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Queues a request. Throws QueueFull (kLimit) where most_waiting do already; Error (kLimit) where prompt and
  /// max_new_tokens together exceed the model's context or cache_tokens; Error (kUsage) for an unknown task, an empty
  /// prompt, a max_new_tokens below 1, an id in use, impossible sampling; Error (kData) for a token outside the
  /// vocabulary. Then nothing has changed.
  void submit(Request request);

  /// Throws what submit would, for anything but the queue and the id.
  void check(const Request& request) const;

  /// One forward: waiting requests join while there is room, in order of submission, and every sequence whose prompt
  /// has been read gets one token. Returns those that finished. Throws Error (kNumeric) for logits that aren't finite;
  /// whatever it throws, the sequences that had joined are gone.
  std::vector<Completion> step();

  /// Drops a request that is unfinished; false where there is none of that id. Others don't notice.
  bool cancel(int64_t id);

  bool idle() const { return waiting_.empty() && running_.empty(); }
  bool queue_full() const { return options_.most_waiting > 0 && std::ssize(waiting_) >= options_.most_waiting; }
  const EngineCounts& counts() const { return counts_; }
  const PrefixCache& prefix_cache() const { return prefixes_; }

  /// Submits all, steps until idle, and hands over each completion as it comes. Throws Error (kInterrupted) between
  /// steps.
  void run_all(std::vector<Request> requests, const std::function<void(Completion)>& on_completion);

 private:
  struct Sequence;
  struct Step;

  void admit();
  bool waits_for_earlier(size_t index) const;
  void read_cached(Sequence& sequence);
  void keep_prefix(const Sequence& sequence);
  Step next_step();
  std::vector<Completion> forward();
  void answer(Sequence& sequence, std::span<const float> logits);

  const adapters::Model& model_;
  EngineOptions options_;
  EngineCounts counts_;
  PrefixCache prefixes_;
  std::string adapter_;           // fingerprint, of the adapters that are being used
  std::set<int64_t> unfinished_;  // ids of waiting and running
  std::deque<Request> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;  // in order of joining
  int64_t reserved_ = 0;                            // positions of the running sequences' caches
};

}  // namespace moelora::generate
