// A checkpoint of the public MOELoRA implementation as a finished run of ours: evaluated, generated with, exported and
// trained on from like any other. The configuration says model and data, whose tasks are the run's; everything under
// `adapter` that the checkpoint knows is the checkpoint's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "config/run_config.h"

namespace moelora::train {

struct ImportOptions {
  std::filesystem::path checkpoint;      // adapter_config.json and adapter_model.bin or .safetensors
  std::map<std::string, int64_t> tasks;  // each task's row in the checkpoint's embedding: the id its data had
};

/// Writes `config.output` with adapter/ and config.yaml; it must not exist. Throws Error (kModel) for a checkpoint that
/// can't be read or adapts other linears than the model has, Error (kUsage) where a task of the data has no id, an id
/// is given for another, or the embedding has no such row.
void import_moelora(config::RunConfig config, const ImportOptions& options);

}  // namespace moelora::train
