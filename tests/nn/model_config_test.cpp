#include "nn/model_config.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace moelora::nn {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json qwen3() {
  return {{"model_type", "qwen3"},      {"vocab_size", 100},      {"hidden_size", 32},
          {"intermediate_size", 64},    {"num_hidden_layers", 2}, {"num_attention_heads", 4},
          {"num_key_value_heads", 2},   {"rms_norm_eps", 1e-6},   {"max_position_embeddings", 64},
          {"tie_word_embeddings", true}};
}

std::string message_of(const json& config) {
  try {
    parse_model_config(config, "m/config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    return error.what();
  }
  return "no error";
}

TEST(ModelConfig, Qwen3HeadSizeIsTheFamilysDefaultWhereTheFileHasNone) {
  EXPECT_EQ(parse_model_config(qwen3(), "c").head_dim, 128);
}

TEST(ModelConfig, Qwen3HeadSizeDoesNotDependOnHiddenSizeAndHeads) {
  json config = qwen3();
  config["hidden_size"] = 36;  // 9 a head, which RoPE couldn't turn
  EXPECT_EQ(parse_model_config(config, "c").head_dim, 128);
}

TEST(ModelConfig, MoreHeadsThanHiddenSizeNeedAHeadSize) {
  json config = qwen3();
  config["model_type"] = "llama";
  config["hidden_size"] = 2;
  EXPECT_THAT(message_of(config), HasSubstr("`head_dim`"));
}

TEST(ModelConfig, ValuesInMessagesAreShortAndPlain) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "\x1b[2J层";
  for (const char* key : {"model_type", "hidden_act", "hidden_size", "rope_scaling"}) {
    json config = qwen3();
    config[key] = text;
    const std::string message = message_of(config);
    EXPECT_LT(message.size(), 400u) << key;
    EXPECT_TRUE(std::all_of(message.begin(), message.end(), [](char c) { return c >= 0x20 && c < 0x7f; })) << message;
  }
}

TEST(ModelConfig, RopeIsReadFromBothSpellings) {
  json old = qwen3(), now = qwen3();
  old["rope_theta"] = 5e5;
  old["rope_scaling"] = {{"rope_type", "llama3"},
                         {"factor", 8.0},
                         {"low_freq_factor", 1.0},
                         {"high_freq_factor", 4.0},
                         {"original_max_position_embeddings", 512}};
  now["rope_parameters"] = old["rope_scaling"];
  now["rope_parameters"]["rope_theta"] = 5e5;
  for (const json& config : {old, now}) {
    const RopeConfig rope = parse_model_config(config, "c").rope;
    EXPECT_EQ(rope.theta, 5e5);
    EXPECT_EQ(rope.scaling, RopeConfig::Scaling::kLlama3);
    EXPECT_EQ(rope.factor, 8);
    EXPECT_EQ(rope.original_positions, 512);
  }
}

TEST(ModelConfig, SlidingLayersFollowLayerTypes) {
  json config = qwen3();
  config["use_sliding_window"] = true;
  config["sliding_window"] = 16;
  config["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_EQ(parse_model_config(config, "c").windows, (std::vector<int64_t>{0, 16}));
}

TEST(ModelConfig, WindowsThatAreLeftOutAreTheFamilysAndNullIsNone) {
  json mistral = qwen3();
  mistral["model_type"] = "mistral";
  mistral.erase("sliding_window");
  EXPECT_EQ(parse_model_config(mistral, "c").windows[0], 4096);  // MistralConfig's
  mistral["sliding_window"] = nullptr;
  EXPECT_EQ(parse_model_config(mistral, "c").windows[0], 0);
  for (const char* family : {"qwen2", "qwen3"}) {
    json qwen = qwen3();
    qwen["model_type"] = family;
    qwen["num_hidden_layers"] = 30;
    qwen["use_sliding_window"] = true;
    for (const char* key : {"sliding_window", "max_window_layers", "layer_types"}) qwen.erase(key);
    const std::vector<int64_t> windows = parse_model_config(qwen, "c").windows;
    EXPECT_EQ(windows[27], 0) << family;
    EXPECT_EQ(windows[28], 4096) << family;
    qwen["sliding_window"] = nullptr;
    EXPECT_EQ(parse_model_config(qwen, "c").windows[28], 0) << family;
  }
}

TEST(ModelConfig, UnknownFamilyListsTheSupportedAndTheNearest) {
  json config = qwen3();
  config["model_type"] = "qwen33";
  EXPECT_THAT(message_of(config), HasSubstr("internlm2, llama, mistral, phi3, qwen2, qwen3"));
  EXPECT_THAT(message_of(config), HasSubstr("did you mean `qwen3`?"));
}

TEST(ModelConfig, EveryMistakeNamesFileAndField) {
  const std::vector<std::pair<json, std::string>> mistakes = {
      {{{"hidden_size", nullptr}}, "`hidden_size`"},
      {{{"hidden_size", -3}}, "found -3"},
      {{{"vocab_size", "many"}}, "`vocab_size`"},
      {{{"num_key_value_heads", 3}}, "a divisor of 4"},
      {{{"hidden_act", "gelu"}}, "expected silu"},
      {{{"head_dim", 7}}, "an even integer"},
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}}}}, "yarn"},
      {{{"rope_scaling", {{"rope_type", "linear"}}}}, "`factor`"},
      {{{"rms_norm_eps", "small"}}, "`rms_norm_eps`"},
      {{{"tie_word_embeddings", 1}}, "true or false"},
      {{{"num_hidden_layers", int64_t{1} << 31}}, "found 2147483648; expected a positive integer, at most 10000"},
      {{{"hidden_size", int64_t{1} << 31}}, "`hidden_size`"},
      {{{"num_attention_heads", 1 << 20}, {"num_key_value_heads", 1}}, "all heads together are too wide"},
      {{{"rms_norm_eps", -1e-6}}, "`rms_norm_eps`"},
      {{{"rope_theta", 0}}, "`rope_theta`"},
      {{{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}}},
       "more than low_freq_factor"},
      {{{"use_sliding_window", true}, {"sliding_window", 4}, {"layer_types", {"full_attention"}}}, "`layer_types`"},
  };
  for (const auto& [change, text] : mistakes) {
    json config = qwen3();
    config.merge_patch(change);
    EXPECT_THAT(message_of(config), HasSubstr(text)) << change;
    EXPECT_THAT(message_of(config), HasSubstr("m/config.json")) << change;
  }
  EXPECT_THAT(message_of(json::array()), HasSubstr("not a JSON object"));
}

/// `config` with `changes`, as a message of what is wrong with it; null removes a field.
std::string message_with(json config, const json& changes) {
  config.merge_patch(changes);
  return message_of(config);
}

TEST(ModelConfig, Gemma2FilesWithoutCapsAndLayerTypesMeanTheFamilysDefaults) {
  json config = qwen3();
  config["model_type"] = "gemma2";
  config.erase("tie_word_embeddings");
  const ModelConfig left_out = parse_model_config(config, "c");
  EXPECT_EQ(left_out.head_dim, 256);
  EXPECT_EQ(left_out.attention_softcap, 50);
  EXPECT_EQ(left_out.logit_softcap, 30);
  EXPECT_EQ(left_out.windows, (std::vector<int64_t>{4096, 0}));
  EXPECT_TRUE(left_out.tied_head);
  config["attn_logit_softcapping"] = nullptr;
  config["final_logit_softcapping"] = nullptr;
  EXPECT_EQ(parse_model_config(config, "c").attention_softcap, 0);
  EXPECT_EQ(parse_model_config(config, "c").logit_softcap, 0);
  EXPECT_THAT(message_with(config, {{"use_bidirectional_attention", true}}),
              HasSubstr("`use_bidirectional_attention`"));
  EXPECT_THAT(message_with(config, {{"hidden_activation", "relu"}}), HasSubstr("gelu_pytorch_tanh"));
}

TEST(ModelConfig, Gemma3TextPartsThatSayLittleMeanTheFamilysDefaults) {
  // All that the published 4b file says of its text part.
  const json config = {{"model_type", "gemma3"},
                       {"text_config",
                        {{"hidden_size", 2560},
                         {"intermediate_size", 10240},
                         {"model_type", "gemma3_text"},
                         {"num_hidden_layers", 34},
                         {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                         {"sliding_window", 1024}}}};
  const ModelConfig model = parse_model_config(config, "c");
  EXPECT_EQ(model.vocab_size, 262208);
  EXPECT_EQ(model.heads, 8);
  EXPECT_EQ(model.kv_heads, 4);
  EXPECT_EQ(model.head_dim, 256);
  EXPECT_EQ(model.rope.theta, 1e6);
  EXPECT_EQ(model.rope.factor, 8);
  EXPECT_EQ(model.local_rope->theta, 1e4);
  EXPECT_EQ(model.local_rope->scaling, RopeConfig::Scaling::kNone);
  EXPECT_EQ((std::vector<int64_t>(model.windows.begin(), model.windows.begin() + 7)),
            (std::vector<int64_t>{1024, 1024, 1024, 1024, 1024, 0, 1024}));
  EXPECT_TRUE(model.nested);
  EXPECT_THAT(message_with(config, {{"text_config", nullptr}}), HasSubstr("`text_config`"));
  EXPECT_THAT(message_with(config, {{"text_config", {{"num_attention_heads", -1}}}}),
              HasSubstr("`text_config`: `num_attention_heads`"));
}

TEST(ModelConfig, LongRopeReachesAsFarAsItsShortFactors) {
  json config = qwen3();
  config.merge_patch(
      {{"model_type", "phi3"},
       {"max_position_embeddings", 512},
       {"original_max_position_embeddings", 64},
       {"partial_rotary_factor", 0.5},
       {"rope_scaling", {{"type", "longrope"}, {"short_factor", {1.0, 2.0}}, {"long_factor", {4.0, 8.0}}}}});
  const ModelConfig model = parse_model_config(config, "c");
  EXPECT_EQ(model.max_positions, 64);
  EXPECT_EQ(model.rope.divisors, (std::vector<double>{1, 2}));
  EXPECT_NEAR(model.rope.magnitude, std::sqrt(1.5), 1e-12);  // sqrt(1 + ln 8 / ln 64)
  EXPECT_THAT(message_with(config, {{"rope_scaling", {{"short_factor", {1.0}}}}}), HasSubstr("2 positive numbers"));
  EXPECT_THAT(message_with(config, {{"rope_scaling", {{"short_factor", {1.0, 0.0}}}}}),
              HasSubstr("2 positive numbers"));
  EXPECT_THAT(message_with(config, {{"original_max_position_embeddings", nullptr}}),
              HasSubstr("original_max_position_embeddings"));
  EXPECT_THAT(message_with(config, {{"partial_rotary_factor", 0.4}}), HasSubstr("`partial_rotary_factor`"));
}

TEST(ModelConfig, AnOddShareOfAHeadIsRefused) {
  json config = qwen3();
  EXPECT_THAT(message_with(config, {{"partial_rotary_factor", 0.5}}), HasSubstr("1.0 for this family"));
  config["model_type"] = "glm";
  EXPECT_EQ(parse_model_config(config, "c").rope.rotated_share, 0.5);
  for (const double share : {0.4, 0.0, -1.0, 1.5}) {
    EXPECT_THAT(message_with(config, {{"partial_rotary_factor", share}}), HasSubstr("`partial_rotary_factor`"));
  }
}

TEST(ModelConfig, NumbersOfEveryFamilyAreBounded) {
  json gemma = qwen3();
  gemma["model_type"] = "gemma2";
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"}) {
    for (const double value : {0.0, -1.0}) {
      EXPECT_THAT(message_with(gemma, {{key, value}}), HasSubstr("a positive number")) << key;
    }
  }
  EXPECT_THAT(message_with(gemma, {{"sliding_window", int64_t{1} << 40}}), HasSubstr("`sliding_window`"));
  EXPECT_THAT(message_with(gemma, {{"head_dim", 7}}), HasSubstr("an even integer"));
  json phi = qwen3();
  phi["model_type"] = "phi3";
  EXPECT_THAT(message_with(phi, {{"sliding_window", int64_t{1} << 40}}), HasSubstr("`sliding_window`"));
  EXPECT_THAT(
      message_with(
          phi,
          {{"rope_scaling",
            {{"type", "longrope"}, {"original_max_position_embeddings", 1}, {"short_factor", {1.0, 1.0, 1.0, 1.0}}}}}),
      HasSubstr("more than 1"));
  const json gemma3 = {{"model_type", "gemma3_text"}, {"rope_local_base_freq", -1}};
  EXPECT_THAT(message_of(gemma3), HasSubstr("`rope_local_base_freq`"));
}

TEST(ModelConfig, Baichuan2IsToldFromBaichuanAndThe13BModelsAreRefused) {
  json config = qwen3();
  config["model_type"] = "baichuan";
  EXPECT_FALSE(parse_model_config(config, "c").normalised_head);
  config["z_loss_weight"] = 0;
  EXPECT_TRUE(parse_model_config(config, "c").normalised_head);
  EXPECT_THAT(message_with(config, {{"max_position_embeddings", nullptr}}), HasSubstr("ALiBi"));
}

TEST(ModelConfig, ChatGlmOfAnotherArchitectureIsRefused) {
  const json config = {{"model_type", "chatglm"},
                       {"padded_vocab_size", 100},
                       {"hidden_size", 32},
                       {"ffn_hidden_size", 64},
                       {"num_layers", 2},
                       {"num_attention_heads", 4},
                       {"kv_channels", 8},
                       {"multi_query_group_num", 2},
                       {"seq_length", 64},
                       {"rmsnorm", true},
                       {"multi_query_attention", true},
                       {"add_qkv_bias", true}};
  EXPECT_TRUE(parse_model_config(config, "c").qkv_bias);
  EXPECT_THAT(message_with(config, {{"rope_ratio", 50}}), HasSubstr("`rope_ratio`"));
  EXPECT_THAT(message_with(config, {{"padded_vocab_size", nullptr}}), HasSubstr("first ChatGLM"));
  for (const char* key : {"rmsnorm", "multi_query_attention", "post_layer_norm"}) {
    EXPECT_THAT(message_with(config, {{key, false}}), HasSubstr(key));
  }
  for (const char* key : {"add_bias_linear", "apply_residual_connection_post_layernorm"}) {
    EXPECT_THAT(message_with(config, {{key, true}}), HasSubstr(key));
  }
}

}  // namespace
}  // namespace moelora::nn
