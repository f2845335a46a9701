// What one way of training costs over another on the same steps, measured so that the machine's other work cancels:
// both take turns over one loaded base, step by step, in an order that alternates.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/train_bench.h"

namespace moelora::bench {

/// One of the two.
struct Contender {
  config::RunConfig config;
  adapters::TaskList tasks;
  std::shared_ptr<const data::EncodedRows> rows;  // of the same samples, task for task or all of one
};

struct PairedBench {
  std::vector<double> ratios;      // seconds of the first over the second's, a pair each
  std::vector<double> cpu_ratios;  // the same by CPU time of all threads
  double first_seconds = 0;        // of all timed steps
  double second_seconds = 0;
  int64_t tokens = 0;  // of them, the same for both
};

/// A pair is options.steps steps of each, step by step in turns; both begin with the warm-up. Leaves `model` without
/// adapters. Throws what AdapterSet's constructor throws.
PairedBench bench_pairs(adapters::Model& model, const Contender& first, const Contender& second, int64_t pairs,
                        const TrainBenchOptions& options);

double median(std::vector<double> values);

/// What the median that the values are drawn around exceeds with a probability of at most 5 %, by Wilcoxon's signed
/// ranks turned round (Walsh averages): as likely above as below it at each distance, as pairs in alternating order
/// are. Infinite where there are fewer than five.
double upper_bound_of_median(std::vector<double> values);

nlohmann::ordered_json paired_bench_json(const PairedBench& bench);

}  // namespace moelora::bench
