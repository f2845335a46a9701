// InternLM2 and 2.5 (InternLM2ForCausalLM of the models' own files): Llama's shape under names of its own, with q, k, v
// in one linear by key/value head.
#include "nn/families/fields.h"

namespace moelora::nn {

ModelConfig parse_internlm2(const Fields& fields) {
  ModelConfig model = parse_llama_shape(fields);
  model.qkv_bias = model.o_bias = fields.flag_or("bias", false);
  model.fused_qkv = FusedQkv::kByKeyHead;
  model.names = {.embedding = "model.tok_embeddings",
                 .head = "output",
                 .input_norm = "attention_norm",
                 .mlp_norm = "ffn_norm",
                 .qkv = {"attention.wqkv"},
                 .o = "attention.wo",
                 .gate_up = {"feed_forward.w1", "feed_forward.w3"},
                 .down = "feed_forward.w2"};
  return model;
}

}  // namespace moelora::nn
