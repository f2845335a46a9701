// ChatGLM2-6B and ChatGLM3-6B (ChatGLMForConditionalGeneration of the models' own files): what transformers calls
// `glm`, under names and fields of its own, with q, k, v in one linear.
#include <utility>

#include "nn/families/fields.h"

namespace moelora::nn {
namespace {

/// The file under the names that parse_llama_shape reads.
nlohmann::json translated(const Fields& fields) {
  nlohmann::json config = {{"model_type", "chatglm"}};
  static constexpr std::pair<const char*, const char*> kNames[] = {{"padded_vocab_size", "vocab_size"},
                                                                   {"hidden_size", "hidden_size"},
                                                                   {"ffn_hidden_size", "intermediate_size"},
                                                                   {"num_attention_heads", "num_attention_heads"},
                                                                   {"kv_channels", "head_dim"},
                                                                   {"multi_query_group_num", "num_key_value_heads"}};
  for (const auto& [theirs, ours] : kNames) config[ours] = fields.positive(theirs);
  config["num_hidden_layers"] = fields.positive("num_layers", kMostLayers);
  config["max_position_embeddings"] = fields.positive("seq_length", kMostPositions);
  config["rms_norm_eps"] = fields.positive_number_or("layernorm_epsilon", 1e-5);
  config["tie_word_embeddings"] = fields.flag_or("tie_word_embeddings", false);
  return config;
}

void require_flag(const Fields& fields, const std::string& key, bool wanted) {
  if (fields.flag_or(key, wanted) == wanted) return;
  fields.fail(key, "unsupported value", wanted ? "false" : "true",
              wanted ? "true, as in ChatGLM2 and 3" : "false, as in ChatGLM2 and 3");
}

}  // namespace

ModelConfig parse_chatglm(const Fields& fields) {
  if (!fields.has("padded_vocab_size")) {
    fields.fail("padded_vocab_size", "field is missing", "",
                "ChatGLM2 or 3: the first ChatGLM has another architecture");
  }
  require_flag(fields, "rmsnorm", true);
  require_flag(fields, "multi_query_attention", true);
  require_flag(fields, "post_layer_norm", true);
  require_flag(fields, "apply_residual_connection_post_layernorm", false);
  require_flag(fields, "add_bias_linear", false);
  // ChatGLM2-32k divides positions by it, ChatGLM3-32k multiplies the base.
  if (fields.number_or("rope_ratio", 1) != 1) {
    fields.fail("rope_ratio", "unsupported value", shown(fields.raw().at("rope_ratio")),
                "1: what another means differs between the long-context models");
  }
  const nlohmann::json config = translated(fields);
  ModelConfig model = parse_llama_shape(Fields(config, fields.where()), {.rotated_share = 0.5, .partial_rotary = true});
  model.rope.layout = RopeConfig::Layout::kPairs;
  model.qkv_bias = fields.flag_or("add_qkv_bias", false);
  model.names = {.embedding = "transformer.embedding.word_embeddings",
                 .layers = "transformer.encoder.layers",
                 .final_norm = "transformer.encoder.final_layernorm",
                 .head = "transformer.output_layer",
                 .qkv = {"self_attention.query_key_value"},
                 .o = "self_attention.dense",
                 .gate_up = {"mlp.dense_h_to_4h"},
                 .down = "mlp.dense_4h_to_h"};
  return model;
}

}  // namespace moelora::nn
