// A LoRA adapter as llama.cpp loads it with --lora: one GGUF file with the names of llama.cpp's own base models.
#pragma once

#include <filesystem>
#include <string>

#include "core/file_system.h"
#include "io/peft_adapter.h"
#include "nn/model_config.h"

namespace moelora::io {

inline constexpr std::string_view kGgufLoraFile = "adapter.gguf";

/// Writes `dir` (must not exist; whole or not at all) with adapter.gguf and README.md. `shape` is the base's:
/// io::gguf_names says what its linears are called and in which order their rows stand; a linear of the files that
/// llama.cpp keeps as three is written as three with the same lora_a. float32; adapter.lora.alpha equals the rank, so
/// that the scale is 1. Throws Error(kModel) for a family that isn't known there or a module that it doesn't have.
void write_gguf_lora(const std::filesystem::path& dir, const PeftAdapter& adapter, const nn::ModelConfig& shape,
                     const std::string& task, FileSystem& file_system = FileSystem::posix());

/// Reads adapter.gguf back, with alpha / rank baked into B and rows in Hugging Face's order. Throws Error(kModel)
/// naming file and tensor for anything but what write_gguf_lora writes for that base.
PeftAdapter read_gguf_lora(const std::filesystem::path& dir, const nn::ModelConfig& shape);

}  // namespace moelora::io
