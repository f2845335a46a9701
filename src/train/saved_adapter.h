// The multi-task adapter a run leaves behind: experts once, the gate, and what is needed to use it again: the run's
// configuration (method, template and its options, task settings), its tasks in order, and the base it belongs to, by
// hash. Stored by io::write_artefact; moelora_config.json holds the fields below, moelora.safetensors
// AdapterSet::parameters().
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adapters/adapter_set.h"
#include "config/run_config.h"
#include "data/dataset.h"

namespace moelora::train {

struct SavedTask {
  std::string name;       // in the order of the adapter's task indices
  std::string task_type;  // of its rows; empty where they have none
  int64_t step = 0;       // the optimizer step whose weights it has
};

struct SavedAdapter {
  config::RunConfig config;
  std::vector<SavedTask> tasks;
  std::string base_hash;
  std::string shape_hash;  // of its config.json; empty in an adapter that an earlier version wrote, as the next two
  std::string special_tokens_hash;
  nlohmann::json machine = nlohmann::json::object();  // Machine::to_json() of the run
  std::string tokenizer_hash;
  std::string template_hash;                   // empty without a template
  std::vector<data::SourceFile> sources;       // what all tasks' data was: path, hash, licence
  int64_t step = 0;                            // the optimizer step whose weights these are, the last of several
  std::vector<adapters::NamedTensor> tensors;  // float32

  std::vector<std::string> task_names() const;
  std::vector<int64_t> task_steps() const;
  /// As its AdapterSet needs them.
  adapters::TaskList task_list() const;
};

/// `dir` must not exist; it appears whole or not at all.
void save_adapter(const std::filesystem::path& dir, const SavedAdapter& saved);

/// Throws Error (kModel) naming file and field.
SavedAdapter load_adapter(const std::filesystem::path& dir);

/// The adapter over `decoder`, which must be of its base's shape. Throws Error (kModel) where the tensors aren't those
/// that its configuration says.
std::unique_ptr<adapters::AdapterSet> attach_saved(nn::Decoder& decoder, const SavedAdapter& saved);

/// The gates' weights, from the adapter alone: no base is needed. Throws Error (kModel) for a token gate, and where a
/// gate's tensors aren't those that the configuration says.
std::vector<adapters::GateTable> gates_of(const SavedAdapter& saved);

}  // namespace moelora::train
