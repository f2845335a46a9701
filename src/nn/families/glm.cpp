// GLM-4 as transformers has it: `glm` (GlmForCausalLM, GLM-4-9B) and `glm4` (Glm4ForCausalLM, GLM-4-0414). Half of each
// head rotates, in neighbouring pairs; gate and up are one linear; biases on q, k, v. `glm4` also normalises what
// attention and MLP give.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_glm(const Fields& fields) {
  ModelConfig model =
      parse_llama_shape(fields, {.rotated_share = 0.5, .partial_rotary = true, .norm_epsilon = 1.5625e-7});
  model.rope.layout = RopeConfig::Layout::kPairs;
  model.qkv_bias = fields.flag_or("attention_bias", true);
  model.names.gate_up = {"mlp.gate_up_proj"};
  return model;
}

ModelConfig parse_glm4(const Fields& fields) {
  ModelConfig model = parse_glm(fields);
  model.names.attention_output_norm = "post_self_attn_layernorm";
  model.names.mlp_output_norm = "post_mlp_layernorm";
  return model;
}

}  // namespace moelora::nn
