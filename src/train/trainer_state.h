// Where a run stands, apart from its tensors: what a checkpoint keeps beside them, and trainer_state.json for people
// and tools that know that file from transformers.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "data/sampler.h"
#include "train/step.h"

namespace moelora::train {

/// The best evaluation so far. Lower is better for losses, higher for metrics.
struct Best {
  int64_t step = 0;
  double value = 0;
};

struct TrainerState {
  int64_t step = 0;          // optimizer steps taken
  data::Cursor cursor;       // of the next step
  int64_t tokens = 0;        // tokens trained on so far
  double seconds = 0;        // of its optimizer steps, over all processes of the run
  double run_seconds = 0;    // of everything, evaluations and checkpoints included
  int64_t metrics_size = 0;  // bytes of metrics.jsonl that belong to this state
  StepLoss window;           // losses since the last log line
  int64_t window_steps = 0;
  std::optional<Best> best;
  int64_t evaluations_without_improvement = 0;
  bool evaluation_due = false;  // the step's evaluation was interrupted
  /// One object a log line or evaluation: metrics.jsonl's without `time`. Not in to_json(), as it stands there.
  nlohmann::json history = nlohmann::json::array();

  nlohmann::json to_json() const;
  /// Throws Error (kModel) naming `where` on a state that no run of this program wrote.
  static TrainerState from_json(const nlohmann::json& json, const std::string& where);
};

/// trainer_state.json in the shape of transformers' Trainer: best_metric, best_model_checkpoint, global_step, epoch,
/// max_steps and log_history, flat entries of step, epoch and loss, learning_rate, grad_norm or eval_loss,
/// eval_<task>_loss, eval_<task>_score.
nlohmann::ordered_json hf_trainer_state(const TrainerState& state, double epoch, int64_t total_steps);

}  // namespace moelora::train
