// Writes a Hugging Face model directory, durably: it appears whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "core/file_system.h"
#include "io/tensor_file.h"

namespace moelora::io {

struct HfModelContents {
  nlohmann::json config = nlohmann::json::object();  // config.json
  std::optional<nlohmann::json> generation_config;   // generation_config.json
  NamedTensors tensors;                              // Hugging Face names
  std::vector<std::filesystem::path>
      copied_files;  // tokenizer.json, tokenizer_config.json, …: copied under their own file names
  nlohmann::ordered_json record = nlohmann::ordered_json::object();  // kept in the manifest, beside `kind`
  int64_t max_shard_bytes = int64_t{5} << 30;  // beyond it: model-0000i-of-0000N.safetensors and an index
};

/// `dir` must not exist. Throws Error(kIo) where it can't be written, and leaves nothing behind.
void write_hf_model(const std::filesystem::path& dir, const HfModelContents& contents,
                    FileSystem& file_system = FileSystem::posix());

}  // namespace moelora::io
