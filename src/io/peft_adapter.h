// One PEFT LoRA adapter directory: what is exported for each task, and what any server loads.
// Keys and names: PEFT's LoraConfig and its state dict (`base_model.model.<module path>.lora_{A,B}.weight`).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "io/tensor_file.h"

namespace moelora::io {

/// The update of one linear layer is (alpha / r) B A; here alpha == r, so B A.
struct LoraPair {
  at::Tensor a;  // [r, in] float32
  at::Tensor b;  // [out, r] float32, gate and scale baked in
};

struct PeftAdapter {
  int64_t r = 0;
  std::string base_model_name_or_path;
  std::vector<std::string> target_modules;  // names ("q_proj") or whole paths
  std::map<std::string, LoraPair> modules;  // "model.layers.0.self_attn.q_proj" -> pair
  std::string readme;                       // README.md, the model card; not written where empty
};

/// The same update at a larger rank: rows of zeros below every A, columns of zeros beside every B.
void pad_rank(PeftAdapter& adapter, int64_t rank);

/// Writes adapter_model.safetensors, adapter_config.json (lora_alpha == r) and README.md; `dir` must not exist. The
/// directory appears whole or not at all. Throws Error(kInternal) for shapes that don't fit r, Error(kIo) where it
/// can't be written.
void write_peft_adapter(const std::filesystem::path& dir, const PeftAdapter& adapter,
                        FileSystem& file_system = FileSystem::posix());

/// The directory's adapter_model.safetensors, or its adapter_model.bin where there is only that. Throws Error(kModel)
/// naming both where there is neither.
std::filesystem::path peft_weights_file(const std::filesystem::path& dir);

/// All of its tensors, float32. Nothing in a .bin is executed (io/torch_file.h). Throws Error(kModel).
NamedTensors read_peft_weights(const std::filesystem::path& file);

/// Reads a directory in PEFT's layout: plain LoRA with uniform rank and alpha. alpha / r (or alpha / sqrt(r) with
/// use_rslora) is baked into B, f16 and bf16 become float32. Throws Error(kModel) naming file and key or tensor for
/// anything else (DoRA, bias, modules_to_save, rank patterns, a missing half, shapes that don't fit).
PeftAdapter read_peft_adapter(const std::filesystem::path& dir);

}  // namespace moelora::io
