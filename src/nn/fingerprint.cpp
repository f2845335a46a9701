#include "nn/fingerprint.h"

#include <nlohmann/json.hpp>

#include "core/hash.h"

namespace moelora::nn {
namespace {

// By structured bindings, so that a new option doesn't compile before it is decided here whether it counts.

nlohmann::json values_of(const RopeConfig& rope) {
  const auto& [theta, rotated_share, layout, scaling, factor, low_frequency_factor, high_frequency_factor,
               original_positions, divisors, magnitude] = rope;
  return {theta,
          rotated_share,
          static_cast<int>(layout),
          static_cast<int>(scaling),
          factor,
          low_frequency_factor,
          high_frequency_factor,
          original_positions,
          divisors,
          magnitude};
}

nlohmann::json values_of(const ModuleNames& names) {
  const auto& [embedding, layers, final_norm, head, input_norm, attention_output_norm, mlp_norm, mlp_output_norm, qkv,
               q_norm, k_norm, o, gate_up, down] = names;
  return {embedding, layers, final_norm, head,    input_norm, attention_output_norm, mlp_norm, mlp_output_norm, qkv,
          q_norm,    k_norm, o,          gate_up, down};
}

}  // namespace

std::string shape_hash(const ModelConfig& config) {
  // What files call their tensors (stored_prefixes) and what stands beside the decoder (nested) change no number.
  const auto& [model_type, vocab_size, hidden_size, intermediate_size, layers, heads, kv_heads, head_dim, max_positions,
               norm_epsilon, initializer_range, tied_head, normalised_head, logit_softcap, scaled_embedding,
               unit_offset_norms, qkv_bias, o_bias, mlp_bias, qk_norm, fused_qkv, activation, query_scalar,
               attention_softcap, rope, local_rope, windows, names, stored_prefixes, nested] = config;
  const nlohmann::json values = {vocab_size,
                                 hidden_size,
                                 intermediate_size,
                                 layers,
                                 heads,
                                 kv_heads,
                                 head_dim,
                                 norm_epsilon,
                                 tied_head,
                                 normalised_head,
                                 logit_softcap,
                                 scaled_embedding,
                                 unit_offset_norms,
                                 qkv_bias,
                                 o_bias,
                                 mlp_bias,
                                 qk_norm,
                                 static_cast<int>(fused_qkv),
                                 static_cast<int>(activation),
                                 query_scalar,
                                 attention_softcap,
                                 values_of(rope),
                                 local_rope ? values_of(*local_rope) : nlohmann::json(),
                                 windows,
                                 values_of(names)};
  return hash_hex(values.dump());
}

}  // namespace moelora::nn
