// A finished run, opened to be used: its base, its adapter, its prompts exactly as they were in training.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "adapters/model.h"
#include "train/saved_adapter.h"
#include "train/setup.h"

namespace moelora::train {

struct OpenRunOptions {
  std::string base;         // a base instead of the recorded one (moved, say); must be the same weights
  bool other_base = false;  // accept a base with other weights
  std::optional<config::Quantization> quantization;  // the form of its linears; default: as in training
  bool without_adapter = false;                      // the base alone, for comparison
  bool without_weights = false;  // the base is checked but not loaded: enough to collapse the adapter, not to compute
};

struct OpenRun {
  std::filesystem::path dir;
  SavedAdapter saved;  // of method `full`: everything but tensors and hashes
  BaseFiles base;
  std::string base_hash;
  std::shared_ptr<data::PromptRenderer> renderer;
  adapters::Model model;

  /// Index of a task. Throws Error (kUsage) listing the known ones: never a default.
  int64_t task_index(const std::string& task) const;
};

/// `run` is a run directory. Throws Error (kModel) where there is no finished run, or where base, tokenizer or template
/// aren't those it was trained on.
OpenRun open_run(const std::filesystem::path& run, const OpenRunOptions& options = {});

/// The adapter of a finished run, without its base. Throws Error (kModel) where there is no finished run, or one that
/// has no adapter.
SavedAdapter load_run_adapter(const std::filesystem::path& run);

}  // namespace moelora::train
