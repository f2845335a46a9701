// Qwen3 (Qwen3ForCausalLM): RMSNorm over each head of q and k; biases only where attention_bias says so.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_qwen3(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields, {.head_dim = 128});  // whatever hidden_size / heads is
  model.qkv_bias = model.o_bias = fields.flag_or("attention_bias", false);
  model.qk_norm = true;
  const bool window_is_null = fields.raw().contains("sliding_window") && !fields.has("sliding_window");
  if (fields.flag_or("use_sliding_window", false) && !window_is_null) {
    set_windows(fields, model, fields.positive_or("sliding_window", 4096, kMostPositions),
                fields.positive_or("max_window_layers", 28));
  }
  return model;
}

}  // namespace moelora::nn
