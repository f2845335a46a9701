#include "text/assets.h"

#include <filesystem>

#include "expected.h"
#include "support/fixtures_dir.h"

namespace moelora::text {
namespace {

std::string assets_dir(const std::string& name) {
  return testing::fixtures_dir() + "/text/assets/" + name;
}

std::vector<std::string> directories() {
  return {"bare",          "names",      "bos",           "bos_eos",         "no_bos",
          "objects",       "new_tokens", "named_tokens",  "map_of_old_kind", "map_beside_new_kind",
          "split_special", "template",   "template_list", "template_file",   "template_files"};
}

class ModelDirectory : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Configurations, ModelDirectory, ::testing::ValuesIn(directories()),
                         [](const auto& info) { return info.param; });

TEST_P(ModelDirectory, IsReadAsTransformersReadsIt) {
  const TextAssets assets = load_text_assets(assets_dir(GetParam()));
  const OrderedJson want = expected("assets/" + GetParam() + "/expected.json");
  EXPECT_EQ(nlohmann::json(assets.template_variables), nlohmann::json(want["named"]));
  EXPECT_EQ(assets.tokenizer.vocab_size(), want["vocab_size"]);
  const auto check_token = [&](const std::optional<SpecialToken>& token, const char* name) {
    ASSERT_EQ(token.has_value(), want["named"].contains(name)) << name;
    if (!token) return;
    EXPECT_EQ(token->text, want["named"][name]);
    EXPECT_EQ(token->id, want["ids"][name]);
  };
  check_token(assets.bos, "bos_token");
  check_token(assets.eos, "eos_token");
  check_token(assets.pad, "pad_token");
  check_token(assets.unk, "unk_token");
  std::vector<int32_t> special;
  for (int32_t id = 0; id < assets.tokenizer.id_limit(); ++id) {
    if (assets.tokenizer.is_special(id)) special.push_back(id);
  }
  EXPECT_EQ(special, want["special"].get<std::vector<int32_t>>());
  for (size_t i = 0; i < want["encoded"].size(); ++i) {
    const OrderedJson& item = want["encoded"][i];
    const std::string text = item["text"];
    const std::vector<int32_t> ids = assets.tokenizer.encode(text, {.add_special_tokens = true});
    EXPECT_EQ(ids, item["ids"].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(assets.tokenizer.encode(text, {.add_special_tokens = false}), item["bare"].get<std::vector<int32_t>>())
        << text;
    EXPECT_EQ(assets.tokenizer.decode(ids, {.skip_special_tokens = true}), want["decoded"][i]);
  }
  ASSERT_EQ(assets.chat_template.has_value(), !want["rendered"].is_null());
  if (!assets.chat_template) return;
  const Json messages = {{{"role", "user"}, {"content", "hi"}}};
  EXPECT_EQ(assets.chat_template->render(messages, {.variables = assets.template_variables}), want["rendered"]);
}

TEST(TextAssets, OfRealModelsHaveTheirSpecialTokens) {
  for (const std::string& name : model_names()) {
    const TextAssets assets = load_text_assets(model_dir(name));
    const OrderedJson facts = expected("encode_" + name + ".json");
    for (const char* token : {"bos_token", "eos_token", "pad_token", "unk_token"}) {
      EXPECT_EQ(assets.template_variables.contains(token), facts["named"].contains(token)) << name << token;
    }
    ASSERT_TRUE(assets.eos) << name;
    EXPECT_EQ(assets.eos->text, facts["named"]["eos_token"]);
    EXPECT_EQ(assets.eos->id, facts["tokens"][assets.eos->text]);
    EXPECT_EQ(assets.tokenizer.vocab_size(), facts["vocab_size"]);
    EXPECT_EQ(assets.chat_template.has_value(), name != "llama2");
    const std::string text = facts["cases"][20]["text"];
    EXPECT_EQ(assets.tokenizer.encode(text, {.add_special_tokens = true}),
              facts["cases"][20]["ids"].get<std::vector<int32_t>>());
  }
}

}  // namespace
}  // namespace moelora::text
