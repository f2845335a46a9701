// The methods that are procedures over runs: first one plain LoRA per task, each trained alone, with its own clipping
// and its own optimizer (in one run, Adam's momentum would move a task's adapter in steps without rows of it); then
// what is made of them:
//
//   lora_per_task     each task keeps its own
//   lorahub           for each task (Σ_i w_i B_i)(Σ_i w_i A_i), w found without gradients on its dev rows by the loss
//                     + 0.05 mean |w|, |w_i| <= 1.5, from 0 (Huang et al., arXiv 2307.13269)
//   task_arithmetic   λ Σ_i B_i A_i for all tasks, λ of 0.1, 0.2 … 1 by the mean dev loss
//                     (Ilharco et al., arXiv 2212.04089)
//
// Each task's run has that task's share of the optimizer steps that one run on all tasks would take, so all methods
// read as many rows.
//
// Tasks of one group (config/task_groups.h) are one task here, of the group's name.
//
//   config.output/tasks/<task>/   the runs, ordinary ones of method `lora`
//   config.output/identity.json   what it resumes by
//   config.output/weights.json    what the searches found, as far as they have come
//   config.output/adapter/        the result: all side by side, with a table of weights (adapters/given_weights.h)
#pragma once

#include "train/setup.h"
#include "train/trainer.h"

namespace moelora::train {

/// What such a run's directory has and no other.
inline constexpr const char* kRecordOfRuns = "identity.json";

/// `setup` as for train(), which is the way in. Resumes run by run, and LoRAHub's search task by task. Throws as
/// train(), and Error (kModel) for a weights.json that no search wrote.
TrainResult train_runs(RunSetup& setup, const TrainOptions& options);

/// The run of one task or group: method `lora`, that task alone, `steps` of its own, in output/tasks/<task>.
config::RunConfig task_run_config(const config::RunConfig& config, const std::string& task, int64_t steps,
                                  int64_t all_steps);

/// config_identity as far as the tasks' runs go: the same for all methods that are made of the same runs.
std::string task_runs_identity(const config::RunConfig& config);

/// Each task's or group's share of `steps`, by how often an epoch draws it: at least 1 each.
std::vector<int64_t> steps_by_task(const RunSetup& setup, int64_t steps);

}  // namespace moelora::train
