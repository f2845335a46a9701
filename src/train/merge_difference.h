// A model merged from a run over a quantised base, beside that run: what the adapter was trained with and what is
// written are not the same numbers.
#pragma once

#include <filesystem>
#include <string>

#include "data/dataset.h"
#include "train/open_run.h"

namespace moelora::train {

/// Logits are computed in float32, of two sequences of random tokens.
struct LogitDifference {
  double largest = 0;  // |logit of the written model - logit of the run|
  double mean = 0;
  double effect = 0;  // largest |logit of the run - logit of its base|
};

struct ScoreDifference {
  std::string metric;
  int64_t rows = 0;
  double run = 0;
  double written = 0;
};

/// `dir` is a whole model for `task`. `run` may have been opened without weights; each of the models is loaded alone.
LogitDifference merged_logits(const OpenRun& run, const std::string& task, const std::filesystem::path& dir);

/// On at most `rows` dev rows of the task in `dataset`, which must have some, in the run's own dtype. Throws what
/// eval::evaluate throws.
ScoreDifference merged_score(const OpenRun& run, const std::string& task, const std::filesystem::path& dir,
                             const data::Dataset& dataset, int64_t rows);

}  // namespace moelora::train
