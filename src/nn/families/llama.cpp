// Llama 2, 3, 3.1, 3.2 (LlamaForCausalLM).
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_llama(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields);
  model.qkv_bias = model.o_bias = fields.flag_or("attention_bias", false);
  model.mlp_bias = fields.flag_or("mlp_bias", false);
  return model;
}

}  // namespace moelora::nn
