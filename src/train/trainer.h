// A run, from its first step or from a checkpoint to its last: the loop, its evaluations, its checkpoints, what it
// leaves behind.
//
// The run directory, `config.output`:
//   config.yaml              the resolved configuration, every key written out
//   metrics.jsonl            a line every train.log_every steps and every evaluation (also as TensorBoard events)
//   trainer_state.json       the same history in the shape transformers writes
//   checkpoint-<step>/       masters, optimizer, cursors; verified by checksum; the newest checkpoint.keep and the best
//   adapter/                 at the end: the best weights as a multi-task adapter (model/ for method `full`)
//
// With `eval.best: per_task` each task (or group of tasks) is judged and stopped by itself: from the evaluation on that
// uses up its patience, its draws are left out of the steps, which change in nothing else, and its best step stands.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/setup.h"
#include "train/trainer_state.h"

namespace moelora::train {

/// Scores of generated answers on the dev rows of the setup's tasks; given where `eval.generate` asks for them.
using DevScores = std::function<std::map<std::string, double>(const RunSetup&)>;

struct TrainOptions {
  bool resume = false;  // continue from the newest valid checkpoint of the run directory
  bool quiet = false;   // no progress bar
  DevScores dev_scores;
};

struct TrainResult {
  int64_t steps = 0;
  int64_t best_step = 0;             // the last of several
  std::optional<double> best_value;  // of eval.best, with `per_task` the mean; nothing where there are no dev rows
  std::vector<int64_t> task_steps;   // [tasks], each one's best, with `per_task` alone
  bool stopped_early = false;
  int64_t tokens = 0;              // trained on, by all processes of the run
  double seconds = 0;              // of its optimizer steps, evaluations and checkpoints left out, by all of them
  double run_seconds = 0;          // of everything, up to each interrupted process's last checkpoint
  std::filesystem::path artefact;  // adapter/ or model/
};

/// Trains `setup` (from prepare_data and load_model) and writes config.output; of a method that is made of several
/// runs, all of them (train/made_of_runs.h). Throws
///   Error (kIo)           the directory is taken: by a run that stands there, or by a process that writes it;
///                         or the disk fails
///   Error (kUsage)        nothing to resume: no run stands there
///   Error (kModel)        nor can it be: no checkpoint can be used, or the run is finished and has none, or is another
///                         method's
///   Error (kConfig)       resumed with another configuration, base or data
///   Error (kNumeric)      a loss or gradient that isn't finite, naming task and row; the weights are those of
///                         the step before
///   Error (kInterrupted)  SIGINT or SIGTERM: a checkpoint was written
TrainResult train(RunSetup& setup, const TrainOptions& options);

/// Number of optimizer steps a run takes: train.max_steps, else from train.epochs.
int64_t total_steps(const config::TrainConfig& config, int64_t steps_per_epoch);

}  // namespace moelora::train
