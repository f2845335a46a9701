// Qwen2 and Qwen2.5 (Qwen2ForCausalLM): biases on q, k and v; a sliding window only where use_sliding_window says so.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_qwen2(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields);
  model.qkv_bias = true;
  const bool window_is_null = fields.raw().contains("sliding_window") && !fields.has("sliding_window");
  if (fields.flag_or("use_sliding_window", false) && !window_is_null) {
    set_windows(fields, model, fields.positive_or("sliding_window", 4096, kMostPositions),
                fields.positive_or("max_window_layers", 28));
  }
  return model;
}

}  // namespace moelora::nn
