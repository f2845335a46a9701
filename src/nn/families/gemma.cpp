// Gemma 2 (Gemma2ForCausalLM) and Gemma 3 (Gemma3ForCausalLM, and the text part of Gemma3ForConditionalGeneration):
// norms before and after attention and MLP that multiply by 1 + weight, GeGLU, scaled embeddings, layers with and
// without a sliding window.
#include "nn/families/fields.h"

namespace moelora::nn {
namespace {

ModelConfig parse_gemma_shape(const Fields& fields) {
  ModelConfig model = parse_llama_shape(
      fields, {.activation_key = "hidden_activation", .activation = Activation::kGeluTanh, .head_dim = 256});
  model.scaled_embedding = true;
  model.unit_offset_norms = true;
  model.tied_head = fields.flag_or("tie_word_embeddings", true);
  model.qkv_bias = model.o_bias = fields.flag_or("attention_bias", false);
  model.query_scalar = fields.positive_number_or("query_pre_attn_scalar", 256);
  model.names.attention_output_norm = "post_attention_layernorm";
  model.names.mlp_norm = "pre_feedforward_layernorm";
  model.names.mlp_output_norm = "post_feedforward_layernorm";
  if (fields.flag_or("use_bidirectional_attention", false)) {
    fields.fail("use_bidirectional_attention", "unsupported value", "true",
                "false: a model that is read from left to right");
  }
  return model;
}

/// By `layer_types`, or every `pattern`-th layer without a window.
void set_alternating_windows(const Fields& fields, ModelConfig& model, int64_t window, int64_t pattern) {
  set_windows(fields, model, window, /*first_sliding=*/0);
  if (fields.has("layer_types")) return;
  for (int64_t i = pattern - 1; i < model.layers; i += pattern) model.windows[i] = 0;
}

/// What the file leaves out is as in Gemma3TextConfig: published files say little more than how they differ from it.
nlohmann::json with_gemma3_defaults(const nlohmann::json& config) {
  nlohmann::json whole = {{"vocab_size", 262208},    {"hidden_size", 2304},      {"intermediate_size", 9216},
                          {"num_hidden_layers", 26}, {"num_attention_heads", 8}, {"num_key_value_heads", 4},
                          {"head_dim", 256},         {"sliding_window", 4096},   {"max_position_embeddings", 131072}};
  whole.update(config);
  return whole;
}

/// Two rotary embeddings: `rope_parameters` with one object for each kind of layer (transformers 5), or `rope_theta`
/// with `rope_scaling` for layers without a window and `rope_local_base_freq` for the others.
void set_gemma3_ropes(const Fields& fields, ModelConfig& model) {
  model.rope.theta = fields.positive_number_or("rope_theta", 1e6);
  RopeConfig local;
  local.theta = fields.positive_number_or("rope_local_base_freq", 10000);
  if (fields.has("rope_parameters")) {
    const Fields parameters = fields.object("rope_parameters");
    if (parameters.has("full_attention"))
      model.rope = parse_rope_object(parameters.object("full_attention"), model.rope, model);
    if (parameters.has("sliding_attention"))
      local = parse_rope_object(parameters.object("sliding_attention"), local, model);
  }
  model.local_rope = local;
}

ModelConfig parse_gemma3_decoder(const nlohmann::json& config, const std::string& where) {
  const nlohmann::json whole = with_gemma3_defaults(config);
  const Fields fields(whole, where);
  ModelConfig model = parse_gemma_shape(fields);
  model.qk_norm = true;
  model.logit_softcap = fields.positive_number_or_none("final_logit_softcapping");
  set_gemma3_ropes(fields, model);
  set_alternating_windows(fields, model, fields.positive_or("sliding_window", 4096, kMostPositions),
                          fields.positive_or("sliding_window_pattern", 6));
  return model;
}

}  // namespace

ModelConfig parse_gemma2(const Fields& fields) {
  ModelConfig model = parse_gemma_shape(fields);
  model.logit_softcap = fields.positive_number_or_none("final_logit_softcapping", 30);
  model.attention_softcap = fields.positive_number_or_none("attn_logit_softcapping", 50);
  set_alternating_windows(fields, model, fields.positive_or("sliding_window", 4096, kMostPositions), 2);
  return model;
}

ModelConfig parse_gemma3_text(const Fields& fields) {
  return parse_gemma3_decoder(fields.raw(), fields.where());
}

ModelConfig parse_gemma3(const Fields& fields) {
  const Fields text = fields.object("text_config");
  ModelConfig model = parse_gemma3_decoder(text.raw(), text.where());
  model.model_type = "gemma3";
  model.tied_head = fields.flag_or("tie_word_embeddings", model.tied_head);
  model.nested = true;
  model.names.embedding = "model.language_model.embed_tokens";
  model.names.layers = "model.language_model.layers";
  model.names.final_norm = "model.language_model.norm";
  model.stored_prefixes = {{"model.language_model.", "language_model.model."}, {"lm_head.", "language_model.lm_head."}};
  return model;
}

}  // namespace moelora::nn
