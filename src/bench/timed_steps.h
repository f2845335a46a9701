// Optimizer steps as a run takes them, one at a time and timed, with nothing else of a run around them.
#pragma once

#include <cstdint>
#include <memory>

#include "adapters/model.h"
#include "config/run_config.h"
#include "data/encode.h"
#include "data/training_stream.h"
#include "train/optimizer.h"

namespace moelora::bench {

struct TimedStep {
  double seconds = 0;
  double cpu_seconds = 0;   // of all threads
  double loss = 0;          // mean
  int64_t tokens = 0;       // of the step's samples, each counted once
  int64_t allocations = 0;  // of tensor memory from the system
  data::StepBatches batches;
};

class TimedSteps {
 public:
  /// The steps of a run on `rows`, as config.train says, for what `model` trains now.
  TimedSteps(const adapters::Model& model, std::shared_ptr<const data::EncodedRows> rows,
             const config::RunConfig& config);

  /// Takes the next one; `model` has to have the adapters that it had at the start.
  TimedStep next();

 private:
  const adapters::Model& model_;
  const config::RunConfig config_;
  data::TrainingStream stream_;
  train::AdamW optimizer_;
};

}  // namespace moelora::bench
