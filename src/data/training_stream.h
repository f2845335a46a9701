// The endless sequence of optimizer steps, prepared ahead by a thread of its own so that packing never holds training
// up.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/encode.h"
#include "data/packing.h"
#include "data/sampler.h"

namespace moelora::data {

struct StreamOptions {
  SamplerOptions sampler;
  PackOptions pack;
  int64_t prefetch_steps = 4;  // at most so many steps wait; at least 1
  /// [tasks], whose draws are left out of the steps, which change in nothing else; empty: none. A step that has no
  /// other draws has no packs.
  std::vector<bool> without;
};

/// What a configuration says of the training rows of a data set's tasks. Throws Error(kConfig) where `share` is given
/// for some tasks and not for others.
SamplerOptions sampler_options(const config::TrainConfig& config, const Dataset& dataset);
StreamOptions stream_options(const config::TrainConfig& config, const Dataset& dataset);

class TrainingStream {
 public:
  /// Starts at `start`, for a resumed run where its checkpoint stands. Throws as Sampler does, and Error(kData) for a
  /// cursor that lies outside the epoch (other data or batch size than the checkpoint's).
  TrainingStream(std::shared_ptr<const EncodedRows> rows, const StreamOptions& options, Cursor start = {});
  ~TrainingStream();
  TrainingStream(const TrainingStream&) = delete;
  TrainingStream& operator=(const TrainingStream&) = delete;

  /// The next step's packs; waits until they are there. What the preparing thread throws is thrown here. One caller.
  StepBatches next();

  const Sampler& sampler() const;
  /// Of the step that next() gives next: what a checkpoint stores after the step before it.
  Cursor cursor() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moelora::data
