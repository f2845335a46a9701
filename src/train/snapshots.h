// Each task at its own best step (`eval.best: per_task`): the weights of the steps that were best for some task, side
// by side in one adapter (adapters/snapshot_weights.h). Tasks that share a best step share its weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "adapters/task_list.h"
#include "train/setup.h"

namespace moelora::train {

/// The tasks of a run as its adapter knows them. `steps`: each one's own best step, empty where all have the same.
adapters::TaskList task_list(const std::vector<std::string>& tasks, const config::RunConfig& config,
                             const std::vector<int64_t>& steps = {});

/// Puts the weights that the run's checkpoints have of `steps` (each task's own, [tasks]) into its model. Throws Error
/// (kModel) on a checkpoint that can't be used.
void load_snapshots(RunSetup& setup, const std::vector<int64_t>& steps);

/// For people: "8", and where tasks have different steps "2 (colour), 8 (echo)".
std::string steps_text(const std::vector<std::string>& tasks, const std::vector<int64_t>& steps);

/// Where one adapter of all tasks is needed, and `where` has one of several steps. Error (kModel).
[[noreturn]] void throw_each_at_its_own_step(const std::string& where);

}  // namespace moelora::train
