#include "nn/fingerprint.h"

#include <nlohmann/json.hpp>

#include "core/hash.h"

namespace moelora::nn {

std::string shape_hash(const ModelConfig& config) {
  // By structured bindings, so that a new option doesn't compile before it is decided here whether it counts.
  const auto& [model_type, vocab_size, hidden_size, intermediate_size, layers, heads, kv_heads, head_dim, max_positions,
               norm_epsilon, initializer_range, tied_head, qkv_bias, o_bias, mlp_bias, qk_norm, rope, windows] = config;
  const auto& [theta, scaling, factor, low_frequency_factor, high_frequency_factor, original_positions] = rope;
  const nlohmann::json values = {vocab_size,
                                 hidden_size,
                                 intermediate_size,
                                 layers,
                                 heads,
                                 kv_heads,
                                 head_dim,
                                 norm_epsilon,
                                 tied_head,
                                 qkv_bias,
                                 o_bias,
                                 mlp_bias,
                                 qk_norm,
                                 theta,
                                 static_cast<int>(scaling),
                                 factor,
                                 low_frequency_factor,
                                 high_frequency_factor,
                                 original_positions,
                                 windows};
  return hash_hex(values.dump());
}

}  // namespace moelora::nn
