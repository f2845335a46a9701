// The file and tensor names of a PEFT LoRA directory.
#pragma once

#include <string_view>

namespace moelora::io {

inline constexpr std::string_view kPeftConfigFile = "adapter_config.json";
inline constexpr std::string_view kPeftWeightsFile = "adapter_model.safetensors";
inline constexpr std::string_view kPeftOldWeightsFile = "adapter_model.bin";  // what PEFT wrote before safetensors
inline constexpr std::string_view kPeftPrefix = "base_model.model.";
inline constexpr std::string_view kPeftSuffixA = ".lora_A.weight";
inline constexpr std::string_view kPeftSuffixB = ".lora_B.weight";

}  // namespace moelora::io
