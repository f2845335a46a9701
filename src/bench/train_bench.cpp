#include "bench/train_bench.h"

#include <sys/resource.h>

#include <utility>

#include "bench/products.h"
#include "bench/stopwatch.h"
#include "data/training_stream.h"
#include "kernels/allocator.h"
#include "train/finish.h"
#include "train/optimizer.h"
#include "train/plan.h"
#include "train/step.h"

namespace moelora::bench {
namespace {

double peak_rss_gib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}

}  // namespace

TrainBench bench_train(const adapters::Model& model, std::shared_ptr<const data::EncodedRows> rows,
                       const config::RunConfig& config, const TrainBenchOptions& options) {
  const config::TrainConfig& c = config.train;
  const int64_t steps_per_epoch = (rows->size() + c.batch_size - 1) / c.batch_size;
  data::TrainingStream stream(
      std::move(rows), {.sampler = {.seed = c.seed, .temperature = c.temperature, .batch_size = c.batch_size},
                        .pack = {.tokens_per_batch = c.tokens_per_batch, .normalisation = c.loss_normalisation}},
      {.epoch = options.first_step / steps_per_epoch, .step = options.first_step % steps_per_epoch});
  train::AdamW optimizer(train::trained_parameters(model),
                         {.beta1 = c.beta1, .beta2 = c.beta2, .epsilon = c.epsilon, .weight_decay = c.weight_decay});
  TrainBench bench;
  std::vector<data::StepBatches> timed;
  double loss_sum = 0;
  for (int64_t step = 0; step < options.warmup + options.steps; ++step) {
    const bool counted = step >= options.warmup;
    if (step == options.warmup) count_work(true);
    const int64_t allocations_before = kernels::allocator_counts().from_system;
    const Stopwatch watch;
    data::StepBatches batches;
    {
      const WorkTimer timer(Work::kData);
      batches = stream.next();
    }
    optimizer.zero_gradients();
    const train::StepLoss loss = train::accumulate_gradients(
        model, batches, {.dropout = config.adapter.dropout > 0, .recompute = train::layer_recompute(c.recompute)});
    {
      const WorkTimer timer(Work::kOptimizer);
      const double norm = optimizer.gradient_norm();
      if (c.clip > 0 && norm > c.clip) optimizer.scale_gradients(c.clip / norm);
      optimizer.step(c.learning_rate);
      if (model.adapters) model.adapters->refresh();
    }
    if (!counted) continue;
    bench.seconds += watch.seconds();
    bench.cpu_seconds += watch.cpu_seconds();
    bench.allocations += kernels::allocator_counts().from_system - allocations_before;
    for (const data::PackedBatch& pack : batches.packs)
      bench.tokens += pack.tokens() + pack.samples();  // the last token of a sample is a target only
    loss_sum += loss.total().mean();
    ++bench.steps;
    timed.push_back(std::move(batches));
  }
  bench.work = counted_work();
  count_work(false);
  bench.mean_loss = loss_sum / static_cast<double>(bench.steps);
  bench.peak_rss_gib = peak_rss_gib();
  if (options.products) {
    for (const data::StepBatches& batches : timed) {
      for (const data::PackedBatch& pack : batches.packs) {
        const ProductTime time =
            time_products(*model.decoder, pack.tokens(), static_cast<int64_t>(pack.targets.size()));
        bench.products_seconds += time.seconds;
        bench.products_cpu_seconds += time.cpu_seconds;
      }
    }
  }
  return bench;
}

nlohmann::ordered_json train_bench_json(const TrainBench& bench) {
  nlohmann::ordered_json json = {{"tokens_per_s", bench.tokens_per_s()},
                                 {"seconds_per_step", bench.seconds / static_cast<double>(bench.steps)},
                                 {"cpu_seconds_per_step", bench.cpu_seconds / static_cast<double>(bench.steps)},
                                 {"peak_rss_gib", bench.peak_rss_gib},
                                 {"mean_loss", bench.mean_loss},
                                 {"tensor_allocations", bench.allocations}};
  nlohmann::ordered_json work = nlohmann::ordered_json::object();
  for (size_t kind = 0; kind < kWorkKinds; ++kind)
    work[std::string(work_name(static_cast<Work>(kind)))] = bench.work[kind] / bench.seconds;
  json["share"] = work;
  if (bench.products_seconds > 0) {
    json["products_tokens_per_s"] = static_cast<double>(bench.tokens) / bench.products_seconds;
    json["of_products"] = bench.products_seconds / bench.seconds;
    json["of_products_cpu"] = bench.products_cpu_seconds / bench.cpu_seconds;
  }
  return json;
}

}  // namespace moelora::bench
