// One task of a run as an ordinary PEFT LoRA directory, which any server loads: collapsed exactly, gate and scale baked into B.
#pragma once

#include <filesystem>
#include <string>

#include "train/open_run.h"

namespace moelora::train {

/// Writes `dir` (must not exist): adapter_model.safetensors, adapter_config.json and a model card. Throws Error (kUsage) for an unknown
/// task, Error (kModel) for a method that doesn't collapse (`full`, `molora`).
void export_peft(const OpenRun& run, const std::string& task, const std::filesystem::path& dir);

/// The model card (README.md): base, task, method, template and its options, and every source of data with hash and licence.
std::string model_card(const OpenRun& run, const std::string& task);

}  // namespace moelora::train
