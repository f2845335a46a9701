// Runs a comparison: what has no result yet, one run after another over one loaded base. What was cut goes on from its
// checkpoint, what has a result is never run again. Several processes may run one comparison at the same time, on one
// machine or on several that share its directories: each takes the runs that no other is at.
//
//   <output>/runs/<key>/       one run, as `moelora train` leaves it
//   <output>/tasks/<key>/      the tasks' LoRAs that the methods made of runs share
//   <output>/claims/<key>/     its lock is held by the process that computes the run
//   <results>/<key>.json       one finished run
#pragma once

#include <cstdint>
#include <string>

#include "compare/comparison.h"
#include "train/trainer.h"

namespace moelora::compare {

struct RunnerOptions {
  bool quiet = false;
  int64_t processes = 1;        // that were started together, and share the memory there is
  bool report_only = false;     // compute nothing: the methods that have results, on the seeds that all of them have
  std::string code;             // report on what these sources made (a hash, or its beginning); empty: this program's
  train::DevScores dev_scores;  // where eval.generate asks for them
};

/// Throws what load_config, train and evaluate throw, but for Error (kNumeric): a run that diverges is a result that
/// says so. As one learning rate of a grid it only isn't chosen; else ErrorList (kNumeric) names it once all other runs
/// have a result. Error (kInterrupted) after a checkpoint: run it again to go on;
/// Error (kConfig) where data, base, tokenizer or template change meanwhile;
/// Error (kData) where only a report is asked for and there is nothing to report; Error (kUsage) where no result, or
/// those of several codes, are of `code`.
Comparison run_comparison(const config::CompareSpec& spec, const RunnerOptions& options);

}  // namespace moelora::compare
