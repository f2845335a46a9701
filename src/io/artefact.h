// The native multi-task artefact: experts once, gate table, base's hash. A directory of `moelora_config.json` and
// `moelora.safetensors` with a manifest; deliberately nothing that PEFT would take for a LoRA. What the JSON and the
// tensors mean is the business of adapters and the exporter; this layer keeps them whole.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/file_system.h"
#include "io/tensor_file.h"

namespace moelora::io {

struct Artefact {
  nlohmann::json config = nlohmann::json::object();  // an object
  NamedTensors tensors;                              // sorted by name once read
};

/// `dir` must not exist; it appears whole or not at all. Throws Error(kIo) where it can't be written.
void write_artefact(const std::filesystem::path& dir, const Artefact& artefact,
                    FileSystem& file_system = FileSystem::posix());

/// Verifies the manifest's sizes and checksums first. Throws Error(kModel) naming file and reason. Tensors are views of
/// the file.
Artefact read_artefact(const std::filesystem::path& dir);

}  // namespace moelora::io
