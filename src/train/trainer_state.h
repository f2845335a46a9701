// Where a run stands, apart from its tensors: what a checkpoint keeps beside them, and trainer_state.json for people
// and tools that know that file from transformers.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/sampler.h"
#include "train/standing.h"
#include "train/step.h"

namespace moelora::train {

struct TrainerState {
  int64_t step = 0;          // optimizer steps taken
  int64_t idle_steps = 0;    // those among them that had no rows, as the tasks of all their draws were stopped
  data::Cursor cursor;       // of the next step
  int64_t tokens = 0;        // tokens trained on so far
  double seconds = 0;        // of its optimizer steps, over all processes of the run
  double run_seconds = 0;    // of everything, evaluations and checkpoints included
  int64_t metrics_size = 0;  // bytes of metrics.jsonl that belong to this state
  StepLoss window;           // losses since the last log line
  int64_t window_steps = 0;
  /// One, of what `eval.best` names; with `per_task` one of each group of tasks.
  std::vector<Standing> standings;
  bool evaluation_due = false;  // the step's evaluation was interrupted
  /// One object a log line or evaluation: metrics.jsonl's without `time`. Not in to_json(), as it stands there.
  nlohmann::json history = nlohmann::json::array();

  nlohmann::json to_json() const;
  /// Throws Error (kModel) naming `where` on a state that no run of this program wrote.
  static TrainerState from_json(const nlohmann::json& json, const std::string& where);
};

/// trainer_state.json in the shape of transformers' Trainer: best_metric and best_model_checkpoint (null where each
/// task has its own), global_step, epoch, max_steps and log_history, flat entries of step, epoch and loss,
/// learning_rate, grad_norm or eval_loss, eval_<task>_loss, eval_<task>_score.
nlohmann::ordered_json hf_trainer_state(const TrainerState& state, double epoch, int64_t total_steps);

}  // namespace moelora::train
