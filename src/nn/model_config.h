// The shape of a decoder-only language model: what a Hugging Face config.json says, in the terms of nn::Decoder.
// One decoder serves every family; what differs between families is an option here, set by the family's file in
// nn/families/.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "nn/module_names.h"

namespace moelora::nn {

/// Rotary embedding. Scaling kLlama3: wavelengths longer than original_positions / low_frequency_factor are stretched
/// by `factor`, shorter than original_positions / high_frequency_factor are kept, between them interpolated
/// (Llama 3.1's published rule).
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kLlama3 };
  enum class Layout { kHalves, kPairs };  // dimension d turns with d + rotated / 2, or 2 d with 2 d + 1
  double theta = 10000;
  double rotated_share = 1;  // of head_dim; the dimensions after it are left as they are
  Layout layout = Layout::kHalves;
  Scaling scaling = Scaling::kNone;
  double factor = 1;
  double low_frequency_factor = 1;
  double high_frequency_factor = 4;
  double original_positions = 8192;
  std::vector<double> divisors;  // of each frequency ("longrope"); empty: none
  double magnitude = 1;          // multiplies cosines and sines
};

enum class Activation { kSilu, kGeluTanh };

/// How one linear holds queries, keys and values: all queries, all keys, all values; or, for each key/value head in
/// turn, its query heads, its key and its value.
enum class FusedQkv { kWhole, kByKeyHead };

struct ModelConfig {
  std::string model_type;  // "qwen3"
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
  bool normalised_head = false;     // each row of the head is divided by its length
  double logit_softcap = 0;         // > 0: logits become cap * tanh(logit / cap)
  bool scaled_embedding = false;    // embeddings are multiplied by sqrt(hidden_size)
  bool unit_offset_norms = false;   // norms multiply by 1 + weight
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;                   // RMSNorm over each head of q and k, before RoPE
  FusedQkv fused_qkv = FusedQkv::kWhole;  // read where names.qkv is one linear
  Activation activation = Activation::kSilu;
  double query_scalar = 0;       // scores are divided by its root; 0: head_dim
  double attention_softcap = 0;  // > 0: scores become cap * tanh(score / cap)
  RopeConfig rope;
  std::optional<RopeConfig> local_rope;  // of the layers with a window, where theirs differs
  std::vector<int64_t> windows;          // [layers]: positions a query of that layer sees, itself included; 0: all
  ModuleNames names;
  std::vector<StoredPrefix> stored_prefixes;
  bool nested = false;  // the decoder is part of a model that has other parts (images): they are left alone
};

/// The names (config.json's `model_type`) of the families that can be read, sorted.
std::vector<std::string> supported_families();

/// Reads a config.json. `where` names the file in errors. Throws Error (kModel) on an unknown `model_type` (listing the
/// supported ones), a missing or mistyped field, an unsupported option (an activation, a rope type), or sizes that
/// contradict each other.
ModelConfig parse_model_config(const nlohmann::json& config, const std::string& where);

}  // namespace moelora::nn
