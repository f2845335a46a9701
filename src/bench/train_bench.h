// What `moelora bench train` measures: whole optimizer steps as a run takes them, split by kind of work, beside the
// matrix products that no implementation can leave out.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>

#include "adapters/model.h"
#include "config/run_config.h"
#include "core/work_timer.h"
#include "data/encode.h"

namespace moelora::bench {

struct TrainBenchOptions {
  int64_t steps = 8;
  int64_t warmup = 2;
  bool products = false;  // also time the matrix products alone
};

struct TrainBench {
  int64_t steps = 0;
  int64_t tokens = 0;      // of the timed steps' samples, each counted once
  double seconds = 0;      // of the timed steps
  double cpu_seconds = 0;  // of all threads, in those
  WorkSeconds work{};      // of the calling thread
  double mean_loss = 0;
  double peak_rss_gib = 0;      // of the process, up to the end of the steps
  int64_t allocations = 0;      // of tensor memory from the system in the timed steps
  double products_seconds = 0;  // 0: not asked for
  double products_cpu_seconds = 0;

  double tokens_per_s() const { return static_cast<double>(tokens) / seconds; }
};

/// Trains `model` (its adapters change) on the rows' steps, as config.train says. Sets nothing of the process: threads
/// are the caller's.
TrainBench bench_train(const adapters::Model& model, std::shared_ptr<const data::EncodedRows> rows,
                       const config::RunConfig& config, const TrainBenchOptions& options);

/// The figures under the names that the peers' script prints, and the split.
nlohmann::ordered_json train_bench_json(const TrainBench& bench);

}  // namespace moelora::bench
