// The samples of one optimizer step -> packed micro-batches with the loss weight of every supervised token.
//
// First-fit decreasing: samples by falling length (ties: as drawn) go into the first pack with room. A sample over the
// budget gets a pack of its own. A sample's last token is a target only and not part of the batch: it predicts nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/run_config.h"
#include "data/encode.h"
#include "data/packed_batch.h"
#include "data/sampler.h"

namespace moelora::data {

struct PackOptions {
  int64_t tokens_per_batch = 2048;
  config::LossNormalisation normalisation = config::LossNormalisation::kToken;
  std::vector<double> task_weights;  // [tasks], > 0; empty: 1 each
};

struct TaskShare {
  int64_t samples = 0;
  int64_t supervised_tokens = 0;
  double weight = 0;  // sum of the loss weights of its tokens; all tasks together 1
};

struct StepBatches {
  Cursor cursor;  // the step these are for; packs of a whole split leave it alone
  std::vector<PackedBatch> packs;
  std::vector<std::vector<int64_t>>
      pack_samples;              // sample index of each sequence of each pack, to name a row in an error
  std::vector<TaskShare> tasks;  // [tasks]
  int64_t tokens = 0;            // of all packs
  int64_t supervised_tokens = 0;
};

/// Weights sum to 1 over `draws`: each token 1/K (token), each sample 1/S shared equally by its tokens (sample), or
/// each task that is present an equal share, divided equally among its tokens (task). With task weights each of these
/// parts counts as often as its task's weight says: 1/K becomes w_t / sum of w over the tokens, and so on. Same input,
/// same bits. `draws` must not be empty.
StepBatches pack(const EncodedRows& rows, std::span<const Draw> draws, const PackOptions& options);

/// Samples begin … end - 1, for the loss on a split, part by part: packing takes time in samples times packs. Keys are
/// the sample indices.
StepBatches pack_range(const EncodedRows& rows, int64_t begin, int64_t end, const PackOptions& options);

}  // namespace moelora::data
