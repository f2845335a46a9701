#include "bench/paired_bench.h"

#include <algorithm>
#include <limits>

namespace moelora::bench {
namespace {

TrainBench turn(adapters::Model& model, const Contender& contender, const TrainBenchOptions& options) {
  if (model.adapters) model.adapters->detach(*model.decoder);
  model.adapters = std::make_unique<adapters::AdapterSet>(*model.decoder, contender.config.adapter, contender.tasks,
                                                          contender.config.train.seed);
  return bench_train(model, contender.rows, contender.config, options);
}

}  // namespace

PairedBench bench_pairs(adapters::Model& model, const Contender& first, const Contender& second, int64_t pairs,
                        const TrainBenchOptions& options) {
  PairedBench bench;
  for (int64_t pair = 0; pair < pairs; ++pair) {
    TrainBenchOptions steps = options;
    steps.first_step = options.first_step + pair * options.steps;
    TrainBench one, other;
    if (pair % 2 == 0) one = turn(model, first, steps);
    other = turn(model, second, steps);
    if (pair % 2 != 0) one = turn(model, first, steps);
    bench.ratios.push_back(one.seconds / other.seconds);
    bench.cpu_ratios.push_back(one.cpu_seconds / other.cpu_seconds);
    bench.first_seconds += one.seconds;
    bench.second_seconds += other.seconds;
    bench.tokens += one.tokens;
  }
  return bench;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double upper_bound_of_median(std::vector<double> values) {
  std::ranges::sort(values);
  // The k-th of n values lies below the median with the probability that at least k of n fair coins fall one way.
  const auto n = static_cast<int64_t>(values.size());
  double exactly = 1;  // n coins of n, in units of 2^-n
  double at_least = 0;
  double all = 1;
  for (int64_t coin = 0; coin < n; ++coin) all *= 2;
  int64_t k = n + 1;
  while (k > 1 && (at_least + exactly) / all <= 0.05) {
    at_least += exactly;
    --k;
    exactly = exactly * static_cast<double>(k) / static_cast<double>(n - k + 1);
  }
  return k > n ? std::numeric_limits<double>::infinity() : values[k - 1];
}

nlohmann::ordered_json paired_bench_json(const PairedBench& bench) {
  const auto tokens = static_cast<double>(bench.tokens);
  return {{"pairs", bench.ratios.size()},
          {"tokens_per_s", tokens / bench.first_seconds},
          {"tokens_per_s_against", tokens / bench.second_seconds},
          {"slower", median(bench.ratios) - 1},
          {"slower_at_most", upper_bound_of_median(bench.ratios) - 1},
          {"slower_cpu", median(bench.cpu_ratios) - 1},
          {"slower_cpu_at_most", upper_bound_of_median(bench.cpu_ratios) - 1},
          {"ratios", bench.ratios}};
}

}  // namespace moelora::bench
