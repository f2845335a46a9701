// The runs of single tasks that lora_per_task, lorahub and task_arithmetic are all made of: they stand in one
// directory, <output>/tasks/<key>/, and each method's run links to it.
#pragma once

#include <filesystem>
#include <string>

#include "compare/cells.h"

namespace moelora::compare {

/// Of all that the tasks' LoRAs depend on: cells of one key have the same ones.
std::string tasks_key(const Cell& cell);

/// Makes the link of the cell's run, relative, so that a comparison's directory may be moved or copied. Does nothing
/// for methods that aren't made of several runs.
void share_task_runs(const Cell& cell, const std::filesystem::path& output);

}  // namespace moelora::compare
