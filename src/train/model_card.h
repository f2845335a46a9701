// README.md of an exported directory: what it is, what it came from, and how prompts must look.
#pragma once

#include <string>

#include "train/export.h"
#include "train/open_run.h"

namespace moelora::train {

/// In Markdown, with the front matter that the Hugging Face hub reads: base by name, hash and licence, task, metric,
/// template, its options and the task's prompt, and every source of data of all tasks with hash and licence, since the
/// experts are shared by them.
std::string model_card(const OpenRun& run, const std::string& task, const ExportOptions& exported);

}  // namespace moelora::train
