// Which samples an epoch holds and in what order: a pure function of (seed, epoch), so that a position is two integers.
//
// Task t gets a share of the epoch's n draws proportional to rows_t^(1/temperature), or as given (Raffel et al. 2020,
// "Exploring the Limits of Transfer Learning", section 3.5.2). The fraction of a draw is settled by one uniform number
// an epoch (systematic sampling), so every task's expectation is exact. Within a task every row is drawn equally often,
// give or take one; who gets the extra draw changes every epoch. At temperature 1 every row is drawn exactly once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/encode.h"

namespace moelora::data {

/// Where training stands: the next step to be taken. All there is to save and restore.
struct Cursor {
  int64_t epoch = 0;
  int64_t step = 0;  // within the epoch
  bool operator==(const Cursor&) const = default;
};

struct SamplerOptions {
  uint64_t seed = 42;
  double temperature = 1.0;    // > 0
  int64_t batch_size = 64;     // samples of one optimizer step; the last step of an epoch may have fewer
  std::vector<double> shares;  // [tasks], > 0, relative to each other, in place of the temperature's; empty: those
};

/// One drawn sample. The key is epoch * samples + place in the epoch: unique over the run, independent of batches and
/// packing.
struct Draw {
  int64_t sample = 0;
  int64_t key = 0;
};

class Sampler {
 public:
  /// Throws Error(kConfig) for a temperature or batch size that isn't positive, Error(kData) where there is no sample.
  Sampler(const EncodedRows& rows, SamplerOptions options);

  int64_t samples() const { return samples_; }
  int64_t steps_per_epoch() const { return (samples_ + options_.batch_size - 1) / options_.batch_size; }
  /// The whole epoch in order.
  std::vector<Draw> epoch(int64_t epoch) const;
  /// The next position; moves to the next epoch after its last step.
  Cursor after(Cursor cursor) const;
  /// Draws of one step out of its epoch's order; step < steps_per_epoch().
  std::span<const Draw> step(std::span<const Draw> epoch_draws, int64_t step) const;
  /// Expected draws of each task in an epoch, [tasks]; sums to samples().
  std::vector<double> expected_draws() const { return expected_; }

 private:
  SamplerOptions options_;
  int64_t samples_ = 0;
  std::vector<std::vector<int64_t>> by_task_;
  std::vector<double> expected_;
};

/// Each task's expected share of an epoch's supervised tokens, [tasks], 0..1: what it weighs in a loss normalised by
/// token.
std::vector<double> supervised_shares(const EncodedRows& rows, const Sampler& sampler);

}  // namespace moelora::data
