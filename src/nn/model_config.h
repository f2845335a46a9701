// The shape of a decoder-only language model: what a Hugging Face config.json says, in the terms of nn::Decoder.
// One decoder serves every family; what differs between families is an option here, set by the family's file in nn/families/.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace moelora::nn {

/// Rotary embedding. Scaling kLlama3: wavelengths longer than original_positions / low_frequency_factor are stretched by `factor`,
/// shorter than original_positions / high_frequency_factor are kept, between them interpolated (Llama 3.1's published rule).
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kLlama3 };
  double theta = 10000;
  Scaling scaling = Scaling::kNone;
  double factor = 1;
  double low_frequency_factor = 1;
  double high_frequency_factor = 4;
  double original_positions = 8192;
};

struct ModelConfig {
  std::string model_type;      // "qwen3"
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t max_positions = 0;
  double norm_epsilon = 1e-6;
  double initializer_range = 0.02;  // standard deviation of random weights
  bool tied_head = false;           // the head is the embedding
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;             // RMSNorm over each head of q and k, before RoPE
  RopeConfig rope;
  std::vector<int64_t> windows;     // [layers]: positions a query of that layer sees, itself included; 0: all
};

/// The names (config.json's `model_type`) of the families that can be read, sorted.
std::vector<std::string> supported_families();

/// Reads a config.json. `where` names the file in errors. Throws Error (kModel) on an unknown `model_type` (listing the supported
/// ones), a missing or mistyped field, an unsupported option (an activation, a rope type), or sizes that contradict each other.
ModelConfig parse_model_config(const nlohmann::json& config, const std::string& where);

}  // namespace moelora::nn
