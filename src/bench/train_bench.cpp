#include "bench/train_bench.h"

#include <sys/resource.h>

#include <utility>

#include "bench/products.h"
#include "bench/timed_steps.h"

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
  TimedSteps steps(model, std::move(rows), config);
  for (int64_t i = 0; i < options.warmup; ++i) steps.next();
  TrainBench bench;
  std::vector<data::StepBatches> timed;
  double loss_sum = 0;
  count_work(true);
  for (; bench.steps < options.steps; ++bench.steps) {
    TimedStep step = steps.next();
    bench.seconds += step.seconds;
    bench.cpu_seconds += step.cpu_seconds;
    bench.allocations += step.allocations;
    bench.tokens += step.tokens;
    loss_sum += step.loss;
    timed.push_back(std::move(step.batches));
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
