// A run that starts from another's adapter (`adapter.start`): the experts and the gate as they were left, each known
// task with its embedding, new tasks with a fresh one. `moelora adapt` leaves runs whose new task already has an
// embedding worth starting from. A plain LoRA in PEFT's layout may be the start too (train/foreign_adapter.h).
#pragma once

#include <filesystem>
#include <string>

#include "train/setup.h"

namespace moelora::train {

/// Copies the adapter of the finished run, or of the PEFT directory, `start` into the setup's. Throws Error (kConfig)
/// where the base, the method, a shape, alpha or the sum of the experts' weights is another; Error (kModel) where no
/// finished run stands there.
void start_from(const RunSetup& setup, const std::filesystem::path& start);

/// Changes with the adapter's content. Throws Error (kModel) where there is none.
std::string start_hash(const std::filesystem::path& start);

}  // namespace moelora::train
