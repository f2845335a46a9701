#include "data/training_stream.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "core/error.h"

namespace moelora::data {

struct TrainingStream::State {
  State(std::shared_ptr<const EncodedRows> encoded, const StreamOptions& stream_options, Cursor start)
      : rows(std::move(encoded)), options(stream_options), sampler(*rows, options.sampler), cursor(start) {}

  void prepare(const std::stop_token& stop) {
    try {
      Cursor at = cursor;
      while (!stop.stop_requested()) {
        const std::vector<Draw> draws = sampler.epoch(at.epoch);
        const int64_t epoch = at.epoch;
        for (; at.epoch == epoch; at = sampler.after(at)) {
          StepBatches step = pack_step(sampler.step(draws, at.step));
          step.cursor = at;
          std::unique_lock lock(mutex);
          const auto has_room = [&] { return static_cast<int64_t>(ready.size()) < options.prefetch_steps; };
          if (!changed.wait(lock, stop, has_room)) return;
          ready.push_back(std::move(step));
          changed.notify_all();
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      changed.notify_all();
    }
  }

  StepBatches pack_step(std::span<const Draw> draws) const {
    std::vector<Draw> left(draws.begin(), draws.end());
    if (!options.without.empty())
      std::erase_if(left, [&](const Draw& draw) { return options.without[rows->task(draw.sample)]; });
    if (!left.empty()) return pack(*rows, left, options.pack);
    StepBatches none;
    none.tasks.resize(rows->task_count());
    return none;
  }

  std::shared_ptr<const EncodedRows> rows;
  StreamOptions options;
  Sampler sampler;
  Cursor cursor;  // of the caller; the thread has its own
  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<StepBatches> ready;
  std::exception_ptr failure;
  std::jthread thread;  // last: stopped and joined before what it uses goes
};

SamplerOptions sampler_options(const config::TrainConfig& config, const Dataset& dataset) {
  SamplerOptions options{.seed = config.seed, .temperature = config.temperature, .batch_size = config.batch_size};
  std::string without;
  for (const Task& task : dataset.tasks) {
    if (!task.settings.share) {
      without = task.name;
    } else {
      options.shares.push_back(*task.settings.share);
    }
  }
  if (!options.shares.empty() && options.shares.size() < dataset.tasks.size()) {
    throw Error(ErrorKind::kConfig, {.where = "tasks." + without + ".share",
                                     .problem = "not given, though other tasks have one",
                                     .expected = "a share for every task, or for none"});
  }
  return options;
}

StreamOptions stream_options(const config::TrainConfig& config, const Dataset& dataset) {
  StreamOptions options{
      .sampler = sampler_options(config, dataset),
      .pack = {.tokens_per_batch = config.tokens_per_batch, .normalisation = config.loss_normalisation}};
  for (const Task& task : dataset.tasks) options.pack.task_weights.push_back(task.settings.weight.value_or(1));
  return options;
}

TrainingStream::TrainingStream(std::shared_ptr<const EncodedRows> rows, const StreamOptions& options, Cursor start)
    : state_(std::make_unique<State>(std::move(rows), options, start)) {
  if (options.prefetch_steps < 1)
    throw Error(ErrorKind::kInternal, {"TrainingStream", "prefetch_steps must be at least 1"});
  const int64_t steps = state_->sampler.steps_per_epoch();
  if (start.epoch < 0 || start.step < 0 || start.step >= steps) {
    throw Error(ErrorKind::kData,
                {"data", "the position to resume from lies outside the epoch", "step " + std::to_string(start.step),
                 "less than " + std::to_string(steps) + " steps", "data and batch size must be the checkpoint's"});
  }
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) { state->prepare(stop); });
}

TrainingStream::~TrainingStream() = default;

StepBatches TrainingStream::next() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return !state_->ready.empty() || state_->failure; });
  if (state_->ready.empty()) std::rethrow_exception(state_->failure);
  StepBatches step = std::move(state_->ready.front());
  state_->ready.pop_front();
  state_->cursor = state_->sampler.after(step.cursor);
  state_->changed.notify_all();
  return step;
}

const Sampler& TrainingStream::sampler() const {
  return state_->sampler;
}

Cursor TrainingStream::cursor() const {
  return state_->cursor;
}

}  // namespace moelora::data
