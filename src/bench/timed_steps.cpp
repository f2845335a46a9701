#include "bench/timed_steps.h"

#include <utility>

#include "bench/stopwatch.h"
#include "core/work_timer.h"
#include "kernels/allocator.h"
#include "train/finish.h"
#include "train/plan.h"
#include "train/step.h"

namespace moelora::bench {
namespace {

data::TrainingStream stream_of(std::shared_ptr<const data::EncodedRows> rows, const config::TrainConfig& c) {
  return {std::move(rows),
          {.sampler = {.seed = c.seed, .temperature = c.temperature, .batch_size = c.batch_size},
           .pack = {.tokens_per_batch = c.tokens_per_batch, .normalisation = c.loss_normalisation}}};
}

}  // namespace

TimedSteps::TimedSteps(const adapters::Model& model, std::shared_ptr<const data::EncodedRows> rows,
                       const config::RunConfig& config)
    : model_(model),
      config_(config),
      stream_(stream_of(std::move(rows), config.train)),
      optimizer_(train::trained_parameters(model), {.beta1 = config.train.beta1,
                                                    .beta2 = config.train.beta2,
                                                    .epsilon = config.train.epsilon,
                                                    .weight_decay = config.train.weight_decay}) {}

TimedStep TimedSteps::next() {
  const config::TrainConfig& c = config_.train;
  TimedStep step;
  const int64_t allocations_before = kernels::allocator_counts().from_system;
  const Stopwatch watch;
  {
    const WorkTimer timer(Work::kData);
    step.batches = stream_.next();
  }
  optimizer_.zero_gradients();
  const train::StepLoss loss = train::accumulate_gradients(
      model_, step.batches, {.dropout = config_.adapter.dropout > 0, .recompute = train::layer_recompute(c.recompute)});
  {
    const WorkTimer timer(Work::kOptimizer);
    const double norm = optimizer_.gradient_norm();
    if (c.clip > 0 && norm > c.clip) optimizer_.scale_gradients(c.clip / norm);
    optimizer_.step(c.learning_rate);
    if (model_.adapters) model_.adapters->refresh();
  }
  step.seconds = watch.seconds();
  step.cpu_seconds = watch.cpu_seconds();
  step.allocations = kernels::allocator_counts().from_system - allocations_before;
  step.loss = loss.total().mean();
  for (const data::PackedBatch& pack : step.batches.packs)
    step.tokens += pack.tokens() + pack.samples();  // the last token of a sample is a target only
  return step;
}

}  // namespace moelora::bench
