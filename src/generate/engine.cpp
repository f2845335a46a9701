#include "generate/engine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <span>
#include <string>

#include "adapters/fingerprint.h"
#include "core/interrupt.h"
#include "generate/sequence.h"

namespace moelora::generate {
namespace {

constexpr int64_t kLogitRows = 64;  // rows whose logits exist at once

int64_t size_of(const auto& range) {
  return static_cast<int64_t>(std::ssize(range));
}

std::string name_of(const Request& request) {
  return request.where.empty() ? "request " + std::to_string(request.id) : request.where;
}

void require_room(const Request& request, int64_t most, const char* problem, const char* hint) {
  const int64_t prompt = size_of(request.prompt), answer = answer_tokens(request);
  if (answer <= most && prompt <= most - answer) return;  // compared without a sum that could overflow
  const std::string what = request.scored.empty() ? "max_new_tokens " + std::to_string(answer)
                                                  : std::to_string(answer) + " tokens to be scored";
  throw Error(ErrorKind::kLimit, {.where = name_of(request),
                                  .problem = problem,
                                  .found = std::to_string(prompt) + " prompt tokens and " + what,
                                  .expected = "at most " + std::to_string(most) + " together",
                                  .hint = hint});
}

}  // namespace

QueueFull::QueueFull(int64_t most_waiting)
    : Error(ErrorKind::kLimit, {.where = "generation",
                                .problem = "the queue is full",
                                .found = std::to_string(most_waiting) + " requests are waiting",
                                .hint = "try again once some have finished"}) {}

Engine::Engine(const adapters::Model& model, EngineOptions options)
    : model_(model), options_(std::move(options)), prefixes_(options_.prefix_cache_tokens) {
  const EngineOptions& o = options_;
  if (o.batch_size < 1 || o.tokens_per_step < o.batch_size || o.cache_tokens < 0 || o.prefix_cache_tokens < 0 ||
      o.most_waiting < 0) {
    throw Error(ErrorKind::kUsage,
                {.where = "generation",
                 .problem = "impossible batch",
                 .found = "batch_size " + std::to_string(o.batch_size) + ", tokens_per_step " +
                          std::to_string(o.tokens_per_step) + ", cache_tokens " + std::to_string(o.cache_tokens) +
                          ", prefix_cache_tokens " + std::to_string(o.prefix_cache_tokens) + ", most_waiting " +
                          std::to_string(o.most_waiting),
                 .expected = "batch_size from 1 to tokens_per_step, the others from 0"});
  }
}

Engine::~Engine() = default;

void Engine::check(const Request& request) const {
  const auto fail = [&](ErrorKind kind, const char* problem, std::string found, std::string expected) {
    throw Error(
        kind,
        {.where = name_of(request), .problem = problem, .found = std::move(found), .expected = std::move(expected)});
  };
  const int64_t tasks = model_.adapters ? size_of(model_.adapters->tasks()) : 1;
  if (request.task < 0 || request.task >= tasks) {
    fail(ErrorKind::kUsage, "unknown task", std::to_string(request.task), "0 to " + std::to_string(tasks - 1));
  }
  if (request.prompt.empty()) fail(ErrorKind::kUsage, "empty prompt", "", "at least one token");
  if (answer_tokens(request) < 1) {
    fail(ErrorKind::kUsage, "max_new_tokens out of range", std::to_string(request.max_new_tokens), "at least 1");
  }
  check_sampling(request.sampling, name_of(request));
  const nn::ModelConfig& config = model_.decoder->config();
  for (const std::vector<int32_t>* tokens : {&request.prompt, &request.scored}) {
    for (const int32_t id : *tokens) {
      if (id >= 0 && id < config.vocab_size) continue;
      fail(ErrorKind::kData, "token outside the model's vocabulary", std::to_string(id),
           "0 to " + std::to_string(config.vocab_size - 1));
    }
  }
  require_room(request, config.max_positions, "longer than the model's context",
               "shorten the prompt or lower max_new_tokens: nothing is cut silently");
  if (options_.cache_tokens > 0) require_room(request, options_.cache_tokens, "more than the cache may hold", "");
}

void Engine::submit(Request request) {
  check(request);
  if (unfinished_.contains(request.id)) {
    throw Error(
        ErrorKind::kUsage,
        {.where = name_of(request), .problem = "a request of this id is unfinished", .expected = "ids that differ"});
  }
  if (queue_full()) throw QueueFull(options_.most_waiting);
  unfinished_.insert(request.id);
  waiting_.push_back(std::move(request));
}

bool Engine::cancel(int64_t id) {
  if (unfinished_.erase(id) == 0) return false;
  const auto running = std::ranges::find(running_, id, [](const auto& sequence) { return sequence->request.id; });
  if (running == running_.end()) {
    waiting_.erase(std::ranges::find(waiting_, id, &Request::id));
    return true;
  }
  keep_prefix(**running);
  reserved_ -= (*running)->cache.capacity();
  running_.erase(running);
  return true;
}

void Engine::admit() {
  if (running_.empty() && prefixes_.enabled() && model_.adapters) adapter_ = adapters::fingerprint(*model_.adapters);
  while (!waiting_.empty() && size_of(running_) < options_.batch_size) {
    const int64_t positions = positions_of(waiting_.front());
    if (options_.cache_tokens > 0 && reserved_ + positions > options_.cache_tokens) return;
    running_.push_back(std::make_unique<Sequence>(std::move(waiting_.front()), model_.decoder->config()));
    waiting_.pop_front();
    reserved_ += positions;
  }
}

/// Whether a sequence that joined before this one is about to read the block that is this one's next, so that it is in
/// the prefix cache a step later. The first in line waits for nobody.
bool Engine::waits_for_earlier(size_t index) const {
  const Sequence& sequence = *running_[index];
  const int64_t block_end = sequence.read + PrefixCache::kBlock;
  if (!prefixes_.enabled() || sequence.read % PrefixCache::kBlock != 0 || block_end >= size_of(sequence.request.prompt))
    return false;
  return std::any_of(running_.begin(), running_.begin() + static_cast<std::ptrdiff_t>(index), [&](const auto& earlier) {
    return earlier->request.task == sequence.request.task && earlier->cache.length() < block_end &&
           size_of(earlier->request.prompt) >= block_end &&
           std::equal(sequence.input.begin(), sequence.input.begin() + block_end, earlier->input.begin());
  });
}

/// Takes what is known of the prompt; at least its last token is read, whose logits are wanted.
void Engine::read_cached(Sequence& sequence) {
  if (!prefixes_.enabled() || sequence.read % PrefixCache::kBlock != 0) return;
  const std::span<const int32_t> tokens = std::span(sequence.request.prompt).first(sequence.request.prompt.size() - 1);
  const int64_t taken = prefixes_.extend({adapter_, sequence.request.task}, tokens, sequence.cache);
  sequence.read += taken;
  sequence.cached_tokens += taken;
  counts_.cached_tokens += taken;
}

void Engine::keep_prefix(const Sequence& sequence) {
  if (!prefixes_.enabled()) return;
  std::vector<int32_t> tokens = sequence.input;
  tokens.insert(tokens.end(), sequence.written.begin(), sequence.written.end());
  tokens.resize(std::min(size_of(tokens), sequence.read));
  prefixes_.keep({adapter_, sequence.request.task}, tokens, sequence.cache);
}

std::vector<Completion> Engine::step() {
  const at::NoGradGuard no_grad;
  admit();
  if (running_.empty()) return {};
  try {
    return forward();
  } catch (...) {  // some caches may hold the step's rows and others not
    for (const auto& sequence : running_) unfinished_.erase(sequence->request.id);
    running_.clear();
    reserved_ = 0;
    throw;
  }
}

/// Sequences that write get their one row; what is left of the budget goes to prompts, in order of joining.
Engine::Step Engine::next_step() {
  int64_t prompt_budget = options_.tokens_per_step - std::ranges::count_if(running_, &Sequence::writes);
  Step step;
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    if (!sequence.writes()) {
      read_cached(sequence);
      if (waits_for_earlier(i)) continue;
    }
    std::span<const int32_t> rows = sequence.unread();
    if (!sequence.writes()) {
      rows = rows.first(std::min(size_of(rows), prompt_budget));
      prompt_budget -= size_of(rows);
      counts_.prompt_tokens += size_of(rows);
      if (!rows.empty()) step.reading.push_back(&sequence);
    }
    if (rows.empty()) continue;
    const int64_t wanted_before = size_of(step.wanted);
    for (const int32_t id : rows) {
      if (sequence.writes() || sequence.read >= sequence.first_answering()) step.wanted.push_back(size_of(step.ids));
      step.ids.push_back(id);
      step.positions.push_back(sequence.read++);
    }
    step.caches.push_back(&sequence.cache);
    step.cu_seqlens.push_back(size_of(step.ids));
    step.tasks.push_back(sequence.request.task);
    const int64_t answering = size_of(step.wanted) - wanted_before;
    if (answering > 0) step.answering.push_back({&sequence, answering});
  }
  return step;
}

/// What one row's logits mean for a sequence: a token written, or one scored.
void Engine::answer(Sequence& sequence, std::span<const float> logits) {
  const Request& request = sequence.request;
  if (sequence.scores()) {
    best_token(logits, request.id);  // throws where a score would be none
    const int32_t token = request.scored[sequence.logprobs.size()];
    sequence.logprobs.push_back(logprobs_of(logits, token, request.logprobs));
    sequence.finished = sequence.logprobs.size() == request.scored.size();
    return;
  }
  std::vector<float> penalised;
  std::span<const float> used = logits;
  if (request.sampling.repetition_penalty != 1) {
    penalised.assign(logits.begin(), logits.end());
    penalise_repetitions(penalised, sequence.seen, request.sampling.repetition_penalty);
    used = penalised;
  }
  const int32_t token = choose_token(used, request.sampling, request.id, size_of(sequence.written));
  ++counts_.new_tokens;
  if (request.logprobs >= 0) sequence.logprobs.push_back(logprobs_of(logits, token, request.logprobs));
  sequence.stopped = std::ranges::find(options_.stop_ids, token) != options_.stop_ids.end();
  if (!sequence.stopped) {
    sequence.write(token);
    if (options_.on_token) sequence.stopped = !options_.on_token(request.id, token);
  }
  sequence.finished = sequence.stopped || size_of(sequence.written) == request.max_new_tokens;
}

std::vector<Completion> Engine::forward() {
  Step step = next_step();
  const std::unique_ptr<nn::RowContext> context = model_.rows({.cu_seqlens = step.cu_seqlens, .tasks = step.tasks});
  CachedAttention attention(std::move(step.caches), step.cu_seqlens);
  nn::ForwardOptions wanted;
  if (step.wanted.size() < step.ids.size()) wanted.wanted_rows = at::tensor(step.wanted, at::kLong);
  const at::Tensor hidden =
      model_.decoder->forward({at::tensor(step.ids), at::tensor(step.positions)}, attention, context.get(), wanted);
  ++counts_.steps;
  for (const Sequence* sequence : step.reading) keep_prefix(*sequence);

  at::Tensor logits;  // of rows [first, first + kLogitRows)
  int64_t row = 0, first = 0;
  for (const Step::Answering& one : step.answering) {
    for (int64_t i = 0; i < one.rows; ++i, ++row) {
      if (!logits.defined() || row == first + kLogitRows) {
        first = row;
        const at::Tensor some = hidden.narrow(0, first, std::min(kLogitRows, hidden.size(0) - first));
        logits = model_.decoder->logits(some).to(at::kFloat).contiguous();
      }
      answer(*one.sequence,
             {logits.const_data_ptr<float>() + (row - first) * logits.size(1), static_cast<size_t>(logits.size(1))});
    }
  }
  std::vector<Completion> completions;
  for (const Step::Answering& one : step.answering) {
    Sequence& sequence = *one.sequence;
    if (!sequence.finished) continue;
    completions.push_back({.id = sequence.request.id,
                           .tokens = sequence.written,
                           .stopped = sequence.stopped,
                           .logprobs = std::move(sequence.logprobs),
                           .prompt_tokens = size_of(sequence.request.prompt),
                           .cached_tokens = sequence.cached_tokens});
  }
  for (const Completion& completion : completions) cancel(completion.id);
  return completions;
}

void Engine::run_all(std::vector<Request> requests, const std::function<void(Completion)>& on_completion) {
  auto next = requests.begin();
  while (next != requests.end() || !idle()) {
    for (; next != requests.end() && !queue_full(); ++next) submit(std::move(*next));
    throw_if_interrupted();
    for (Completion& completion : step()) on_completion(std::move(completion));
  }
}

}  // namespace moelora::generate
