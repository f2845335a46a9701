#include "generate/engine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <span>
#include <string>

#include "core/error.h"
#include "core/interrupt.h"

namespace moelora::generate {
namespace {

int64_t size_of(const auto& range) {
  return static_cast<int64_t>(std::ssize(range));
}

/// Positions whose keys and values a request comes to hold: the last token written is never read.
int64_t positions_of(const Request& request) {
  return size_of(request.prompt) + request.max_new_tokens - 1;
}

std::string name_of(const Request& request) {
  return "request " + std::to_string(request.id);
}

void require_room(const Request& request, int64_t most, const char* problem) {
  const int64_t prompt = size_of(request.prompt);
  // Compared without a sum that could overflow.
  if (request.max_new_tokens <= most && prompt <= most - request.max_new_tokens) return;
  throw Error(ErrorKind::kLimit, {.where = name_of(request),
                                  .problem = problem,
                                  .found = std::to_string(prompt) + " prompt tokens and max_new_tokens " +
                                           std::to_string(request.max_new_tokens),
                                  .expected = "at most " + std::to_string(most) + " together"});
}

}  // namespace

struct Engine::Sequence {
  Sequence(Request given, const nn::ModelConfig& config)
      : request(std::move(given)), cache(config, positions_of(request)) {}

  /// Rows to be read before the next token can be written.
  std::span<const int32_t> unread() const {
    return read < size_of(request.prompt) ? std::span(request.prompt).subspan(read) : std::span(written).last(1);
  }

  Request request;
  SequenceCache cache;
  int64_t read = 0;  // positions in the cache
  std::vector<int32_t> written;
  bool stopped = false;
};

Engine::Engine(const adapters::Model& model, EngineOptions options) : model_(model), options_(std::move(options)) {
  if (options_.batch_size < 1 || options_.tokens_per_step < options_.batch_size || options_.cache_tokens < 0) {
    throw Error(ErrorKind::kUsage, {.where = "generation",
                                    .problem = "impossible batch",
                                    .found = "batch_size " + std::to_string(options_.batch_size) +
                                             ", tokens_per_step " + std::to_string(options_.tokens_per_step) +
                                             ", cache_tokens " + std::to_string(options_.cache_tokens),
                                    .expected = "batch_size from 1 to tokens_per_step, cache_tokens from 0"});
  }
}

Engine::~Engine() = default;

void Engine::check(const Request& request) const {
  const std::string where = name_of(request);
  const auto fail = [&](ErrorKind kind, const char* problem, std::string found, std::string expected) {
    throw Error(kind, {.where = where, .problem = problem, .found = std::move(found), .expected = std::move(expected)});
  };
  const auto same_id = [&](int64_t id) { return id == request.id; };
  if (std::ranges::any_of(waiting_, same_id, &Request::id) ||
      std::ranges::any_of(running_, same_id, [](const auto& sequence) { return sequence->request.id; })) {
    fail(ErrorKind::kUsage, "a request of this id is unfinished", "", "ids that differ");
  }
  const int64_t tasks = model_.adapters ? size_of(model_.adapters->tasks()) : 1;
  if (request.task < 0 || request.task >= tasks) {
    fail(ErrorKind::kUsage, "unknown task", std::to_string(request.task), "0 to " + std::to_string(tasks - 1));
  }
  if (request.prompt.empty()) fail(ErrorKind::kUsage, "empty prompt", "", "at least one token");
  if (request.max_new_tokens < 1) {
    fail(ErrorKind::kUsage, "max_new_tokens out of range", std::to_string(request.max_new_tokens), "at least 1");
  }
  check_sampling(request.sampling, where);
  const nn::ModelConfig& config = model_.decoder->config();
  for (const int32_t id : request.prompt) {
    if (id < 0 || id >= config.vocab_size) {
      fail(ErrorKind::kData, "token outside the model's vocabulary", std::to_string(id),
           "0 to " + std::to_string(config.vocab_size - 1));
    }
  }
  require_room(request, config.max_positions, "longer than the model's context");
  if (options_.cache_tokens > 0) require_room(request, options_.cache_tokens, "more than the cache may hold");
}

void Engine::submit(Request request) {
  check(request);
  waiting_.push_back(std::move(request));
}

bool Engine::cancel(int64_t id) {
  const auto waiting = std::ranges::find(waiting_, id, &Request::id);
  if (waiting != waiting_.end()) {
    waiting_.erase(waiting);
    return true;
  }
  const auto running = std::ranges::find(running_, id, [](const auto& sequence) { return sequence->request.id; });
  if (running == running_.end()) return false;
  reserved_ -= (*running)->cache.capacity();
  running_.erase(running);
  return true;
}

void Engine::admit() {
  while (!waiting_.empty() && size_of(running_) < options_.batch_size) {
    const int64_t positions = positions_of(waiting_.front());
    if (options_.cache_tokens > 0 && reserved_ + positions > options_.cache_tokens) return;
    running_.push_back(std::make_unique<Sequence>(std::move(waiting_.front()), model_.decoder->config()));
    waiting_.pop_front();
    reserved_ += positions;
  }
}

std::vector<Completion> Engine::step() {
  const at::NoGradGuard no_grad;
  admit();
  if (running_.empty()) return {};
  try {
    return forward();
  } catch (...) {  // some caches may hold the step's rows and others not
    running_.clear();
    reserved_ = 0;
    throw;
  }
}

std::vector<Completion> Engine::forward() {
  // Sequences that write get their one row; what is left of the budget goes to prompts, in order of joining.
  const auto writes = [](const auto& sequence) { return !sequence->written.empty(); };
  int64_t prompt_budget = options_.tokens_per_step - std::ranges::count_if(running_, writes);
  std::vector<SequenceCache*> caches;
  std::vector<Sequence*> answering;
  std::vector<int64_t> ids, positions, cu_seqlens = {0}, tasks, last_rows;
  for (const std::unique_ptr<Sequence>& sequence : running_) {
    std::span<const int32_t> rows = sequence->unread();
    const bool whole = writes(sequence) || size_of(rows) <= prompt_budget;
    if (!writes(sequence)) {
      if (!whole) rows = rows.first(prompt_budget);
      prompt_budget -= size_of(rows);
      counts_.prompt_tokens += size_of(rows);
    }
    if (rows.empty()) continue;
    for (const int32_t id : rows) {
      ids.push_back(id);
      positions.push_back(sequence->read++);
    }
    caches.push_back(&sequence->cache);
    cu_seqlens.push_back(size_of(ids));
    tasks.push_back(sequence->request.task);
    if (whole) {
      answering.push_back(sequence.get());
      last_rows.push_back(size_of(ids) - 1);
    }
  }
  const std::unique_ptr<nn::RowContext> context = model_.rows({.cu_seqlens = cu_seqlens, .tasks = tasks});
  CachedAttention attention(std::move(caches), cu_seqlens);
  const nn::ForwardOptions wanted{.wanted_rows = at::tensor(last_rows, at::kLong)};
  const at::Tensor hidden =
      model_.decoder->forward({at::tensor(ids), at::tensor(positions)}, attention, context.get(), wanted);
  ++counts_.steps;
  if (answering.empty()) return {};

  const at::Tensor logits = model_.decoder->logits(hidden).to(at::kFloat).contiguous();
  const int64_t vocabulary = logits.size(1);
  std::vector<Completion> completions;
  for (size_t i = 0; i < answering.size(); ++i) {
    Sequence& sequence = *answering[i];
    const std::span<const float> row(logits.const_data_ptr<float>() + i * vocabulary, vocabulary);
    const int32_t token = choose_token(row, sequence.request.sampling, sequence.request.id, size_of(sequence.written));
    ++counts_.new_tokens;
    sequence.stopped = std::ranges::find(options_.stop_ids, token) != options_.stop_ids.end();
    if (!sequence.stopped) {
      sequence.written.push_back(token);
      if (options_.on_token) options_.on_token(sequence.request.id, token);
    }
    if (!sequence.stopped && size_of(sequence.written) < sequence.request.max_new_tokens) continue;
    completions.push_back({.id = sequence.request.id,
                           .tokens = std::move(sequence.written),
                           .stopped = sequence.stopped,
                           .prompt_tokens = size_of(sequence.request.prompt)});
  }
  for (const Completion& completion : completions) cancel(completion.id);
  return completions;
}

void Engine::run_all(std::vector<Request> requests, const std::function<void(Completion)>& on_completion) {
  for (Request& request : requests) submit(std::move(request));
  while (!idle()) {
    throw_if_interrupted();
    for (Completion& completion : step()) on_completion(std::move(completion));
  }
}

}  // namespace moelora::generate
