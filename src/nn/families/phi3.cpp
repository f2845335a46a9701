// Phi-3, Phi-3.5 and Phi-4 (Phi3ForCausalLM): Llama's shape with q, k, v in one linear and gate, up in another.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_phi3(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields, {.partial_rotary = true, .norm_epsilon = 1e-5});
  model.names.qkv = {"self_attn.qkv_proj"};
  model.names.gate_up = {"mlp.gate_up_proj"};
  if (fields.has("sliding_window"))
    model.windows.assign(model.layers, fields.positive("sliding_window", kMostPositions));
  return model;
}

}  // namespace moelora::nn
