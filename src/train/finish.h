// What a run trains, as named masters, and what it leaves behind when it is done.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "train/optimizer.h"
#include "train/setup.h"

namespace moelora::train {

/// The masters that are trained: the adapters', or every weight of the base for method `full`. float32 leaves, stable
/// order.
std::vector<NamedTensor> trained_parameters(const adapters::Model& model);

/// Copies values (by the names of trained_parameters; others are ignored) into the masters. Throws Error (kModel).
void load_parameters(const adapters::Model& model, std::span<const NamedTensor> values);

/// Where a finished run's result stands: output/adapter, or output/model for method `full`.
std::filesystem::path artefact_dir(const config::RunConfig& config);

/// Writes it from the current masters, those of `step`: a multi-task adapter, or a Hugging Face model directory in
/// bfloat16 with the base's tokenizer files. It must not exist yet; it appears whole or not at all. `task_steps`:
/// where each task has the weights of a step of its own, which it is, [tasks].
void write_artefact(const RunSetup& setup, int64_t step, const std::vector<int64_t>& task_steps = {});

}  // namespace moelora::train
