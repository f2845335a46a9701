#include "nn/model_config.h"

#include <gmock/gmock.h>

#include <algorithm>
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

TEST(ModelConfig, UnknownFamilyListsTheSupportedAndTheNearest) {
  json config = qwen3();
  config["model_type"] = "qwen33";
  EXPECT_THAT(message_of(config), HasSubstr("llama, mistral, qwen2, qwen3"));
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

}  // namespace
}  // namespace moelora::nn
