// Mistral (MistralForCausalLM): Llama's shape, every layer with the same sliding window or none.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_mistral(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields);
  // null: none.
  if (fields.has("sliding_window") || !fields.raw().contains("sliding_window"))
    model.windows.assign(model.layers, fields.positive_or("sliding_window", 4096, kMostPositions));
  return model;
}

}  // namespace moelora::nn
