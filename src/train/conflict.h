// How far the tasks' gradients agree: the cosine of the angle between what two tasks want of the experts' A and B in
// one step. Near 1 they pull together, near 0 they don't meet, below 0 a step for one is a step against the other.
//
//   g_t = gradient, by all A and B, of task t's share of the step's objective (their sum: the step's gradient)
//   cosine(t, u) = g_t · g_u / (|g_t| |g_u|)
//
// Gate and embeddings are left out: a task's row of the embedding is its own, and orthogonal to every other's.
#pragma once

#include <optional>
#include <vector>

#include "train/step.h"

namespace moelora::train {

/// [tasks][tasks], symmetric; nothing for a task without rows in the step or without a gradient.
using TaskConflict = std::vector<std::vector<std::optional<double>>>;

/// Takes a forward and a backward pass of the step's packs for each task, with the step's own dropout, and memory for
/// one copy of A and B a task. The masters' gradients must be zero and are left as the last task's. Throws
/// NonFiniteLoss.
TaskConflict task_conflict(const adapters::Model& model, const data::StepBatches& batches, const StepOptions& options);

}  // namespace moelora::train
