// Qwen2 and Qwen2.5 (Qwen2ForCausalLM): biases on q, k and v; a sliding window only where use_sliding_window says so.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_qwen2(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields);
  model.qkv_bias = true;
  set_qwen_windows(fields, model);
  return model;
}

}  // namespace moelora::nn
