// Qwen3 (Qwen3ForCausalLM): RMSNorm over each head of q and k; biases only where attention_bias says so.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_qwen3(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields, {.head_dim = 128});  // whatever hidden_size / heads is
  model.qkv_bias = model.o_bias = fields.flag_or("attention_bias", false);
  model.qk_norm = true;
  set_qwen_windows(fields, model);
  return model;
}

}  // namespace moelora::nn
