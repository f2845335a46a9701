// Baichuan-7B and Baichuan2-7B (of the models' own files): Llama's shape with q, k, v in one linear; Baichuan2 divides
// each row of the head by its length. The 13B models have no rotary embedding (ALiBi) and are refused.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_baichuan(const Fields& fields) {
  if (!fields.has("max_position_embeddings")) {  // the 13B models' files have only `model_max_length`
    fields.fail("max_position_embeddings", "field is missing", "",
                "a 7B model's: those of 13B use ALiBi, which is not supported");
  }
  ModelConfig model = parse_llama_shape(fields);
  model.normalised_head = fields.has("z_loss_weight");  // only Baichuan2's files have it
  model.names.qkv = {"self_attn.W_pack"};
  return model;
}

}  // namespace moelora::nn
