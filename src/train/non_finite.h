// A loss or gradient that isn't finite, traced to the task and row it comes from.
#pragma once

#include <cstdint>

#include "data/packing.h"
#include "train/optimizer.h"
#include "train/setup.h"
#include "train/step.h"

namespace moelora::train {

/// Throws Error (kNumeric) naming step, task and row (file:line) of `split`, train (the weights are those of the step
/// before) or dev (those of the step).
[[noreturn]] void throw_non_finite_loss(const RunSetup& setup, data::Split split, const data::StepBatches& batches,
                                        const NonFiniteLoss& at, int64_t step);

/// The same for a gradient: each sample of the step is tried alone to find the first that causes it.
[[noreturn]] void throw_non_finite_gradient(const RunSetup& setup, const data::StepBatches& batches,
                                            const StepOptions& options, AdamW& optimizer, int64_t step);

}  // namespace moelora::train
