// Mistral (MistralForCausalLM): Llama's shape, every layer with the same sliding window or none.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_mistral(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields);
  if (fields.has("sliding_window"))
    model.windows.assign(model.layers, fields.positive("sliding_window", kMostPositions));
  return model;
}

}  // namespace moelora::nn
