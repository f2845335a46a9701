// SentencePiece models against the Python package, and the directories that have one against the rules of the published
// tokenizers (tests/text/sentencepiece_models.py).
#include <cmath>
#include <filesystem>

#include "core/random.h"
#include "core/temporary_directory.h"
#include "expected.h"
#include "support/fixtures_dir.h"
#include "text/assets.h"
#include "text/decode_stream.h"

namespace moelora::text {
namespace {

using Ids = std::vector<int32_t>;

std::string folder() {
  return testing::fixtures_dir() + "/text/sentencepiece/";
}

class Model : public ::testing::TestWithParam<std::string> {
 protected:
  Tokenizer tokenizer() const { return Tokenizer::load(folder() + GetParam() + ".model"); }
  OrderedJson facts() const { return expected("sentencepiece/" + GetParam() + ".json"); }
};

INSTANTIATE_TEST_SUITE_P(SentencePiece, Model, ::testing::Values("bytes", "plain", "mistral_v1", "mistral_v3", "j2"),
                         [](const auto& info) { return info.param; });

double score_of(const Ids& ids, const std::vector<double>& scores) {
  double sum = 0;
  for (const int32_t id : ids) sum += scores[id];
  return sum;
}

TEST_P(Model, EncodesAndDecodesAsTheLibraryDoesInPython) {
  const Tokenizer tokenizer = this->tokenizer();
  const OrderedJson facts = this->facts();
  ASSERT_GT(facts["cases"].size(), 300U);
  // Of segmentations that are equally probable, releases of the library take one or another.
  const std::vector<double> scores = facts["scores"];
  size_t others = 0;
  for (const OrderedJson& item : facts["cases"]) {
    const std::string text = item["text"];
    const Ids ids = item["ids"], ours = tokenizer.encode(text, {.add_special_tokens = true});
    if (scores.empty()) {
      ASSERT_EQ(ours, ids) << text.substr(0, 200);
    } else if (ours != ids) {
      ++others;
      const double score = score_of(ids, scores);
      ASSERT_NEAR(score_of(ours, scores), score, 1e-6 * std::abs(score)) << text.substr(0, 200);
      ASSERT_EQ(tokenizer.decode(ours, {.skip_special_tokens = false}), item["decoded"]) << text.substr(0, 200);
    }
    ASSERT_EQ(tokenizer.decode(ids, {.skip_special_tokens = false}), item["decoded"]) << text.substr(0, 200);
  }
  EXPECT_LT(others, facts["cases"].size() / 10);
  for (const OrderedJson& item : facts["random"]) {
    ASSERT_EQ(tokenizer.decode(item["ids"].get<Ids>(), {.skip_special_tokens = false}), item["decoded"]);
  }
}

TEST_P(Model, EncodesABatchAsOneByOne) {
  const Tokenizer tokenizer = this->tokenizer();
  const OrderedJson facts = this->facts();
  std::vector<std::string> texts;
  std::vector<Ids> ids;
  for (const OrderedJson& item : facts["cases"]) {
    texts.push_back(item["text"]);
    ids.push_back(tokenizer.encode(texts.back(), {.add_special_tokens = true}));
  }
  EXPECT_EQ(tokenizer.encode_batch(texts, {.add_special_tokens = true}), ids);
}

TEST_P(Model, KnowsItsPieces) {
  const Tokenizer tokenizer = this->tokenizer();
  const OrderedJson facts = this->facts();
  const std::vector<std::string> pieces = facts["pieces"];
  EXPECT_EQ(tokenizer.vocab_size(), static_cast<int64_t>(pieces.size()));
  EXPECT_EQ(tokenizer.id_limit(), static_cast<int64_t>(pieces.size()));
  Ids special;
  for (int32_t id = -1; id <= tokenizer.id_limit(); ++id) {
    if (tokenizer.is_special(id)) special.push_back(id);
    if (id < 0 || id >= tokenizer.id_limit()) {
      EXPECT_EQ(tokenizer.id_to_token(id), std::nullopt);
      EXPECT_EQ(tokenizer.decode(Ids{id}, {.skip_special_tokens = false}), "");
    } else {
      EXPECT_EQ(tokenizer.id_to_token(id), pieces[id]);
      EXPECT_EQ(tokenizer.token_to_id(pieces[id]), id);
    }
  }
  EXPECT_EQ(special, facts["special"].get<Ids>());
  EXPECT_EQ(tokenizer.token_to_id("no such piece at all"), std::nullopt);
}

TEST_P(Model, StreamsWhatItDecodes) {
  const Tokenizer tokenizer = this->tokenizer();
  const OrderedJson facts = this->facts();
  for (const char* kind : {"cases", "random"}) {
    for (const OrderedJson& item : facts[kind]) {
      const Ids ids = item["ids"];
      if (ids.size() > 20'000) continue;
      for (const bool skip : {false, true}) {
        DecodeStream stream(tokenizer, {.skip_special_tokens = skip});
        std::string all;
        for (const int32_t id : ids) all += stream.push(id);
        all += stream.finish();
        ASSERT_EQ(all, tokenizer.decode(ids, {.skip_special_tokens = skip}))
            << ::testing::PrintToString(ids).substr(0, 500);
      }
    }
  }
}

TEST_P(Model, NamesTheByteOfInvalidUtf8) {
  const Error error = thrown_by([&] { tokenizer().encode("ab\xFF", {.add_special_tokens = true}); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error, says("text", "byte 2 is not valid UTF-8"));
}

class Directory : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(SentencePiece, Directory,
                         ::testing::Values("bare", "llama", "baichuan", "both", "added", "mistral_v1"),
                         [](const auto& info) { return info.param; });

TEST_P(Directory, EncodesAsItsPublishedTokenizerDoes) {
  const TextAssets assets = load_text_assets(folder() + GetParam());
  const OrderedJson facts = expected("sentencepiece/" + GetParam() + "/expected.json");
  for (const OrderedJson& item : facts["cases"]) {
    const std::string text = item["text"];
    EXPECT_EQ(assets.tokenizer.encode(text, {.add_special_tokens = true}), item["ids"].get<Ids>()) << text;
    EXPECT_EQ(assets.tokenizer.encode(text, {.add_special_tokens = false}), item["bare"].get<Ids>()) << text;
  }
  for (const auto& [token, id] : facts["tokens"].items()) {
    EXPECT_EQ(assets.tokenizer.token_to_id(token), id.get<int32_t>());
    EXPECT_EQ(assets.tokenizer.id_to_token(id.get<int32_t>()), token);
    EXPECT_TRUE(assets.tokenizer.is_special(id.get<int32_t>()));
  }
  EXPECT_EQ(assets.tokenizer.id_limit(), facts["id_limit"]);
  EXPECT_EQ(assets.template_variables["bos_token"], facts["named"]["bos_token"]);
  EXPECT_EQ(assets.eos.value().id, 2);
  EXPECT_FALSE(assets.chat_template);
}

class ChatGlm : public ::testing::TestWithParam<std::string> {
 protected:
  TextAssets assets() const { return load_text_assets(folder() + GetParam()); }
  OrderedJson facts() const { return expected("sentencepiece/" + GetParam() + "/expected.json"); }
};

INSTANTIATE_TEST_SUITE_P(SentencePiece, ChatGlm, ::testing::Values("chatglm2", "chatglm3", "chatglm3_template"),
                         [](const auto& info) { return info.param; });

TEST_P(ChatGlm, MakesTheIdsOfItsPublishedChat) {
  const TextAssets assets = this->assets();
  const OrderedJson facts = this->facts();
  ASSERT_FALSE(facts["chats"].empty());
  for (const OrderedJson& chat : facts["chats"]) {
    // Their template puts the blank of an empty content, which their code doesn't.
    if (GetParam() == "chatglm3_template" && chat["messages"][0]["content"] == "") continue;
    const std::string text = assets.chat_template.value().render(
        chat["messages"], {.add_generation_prompt = true, .variables = assets.template_variables});
    EXPECT_EQ(assets.tokenizer.encode(text, {.add_special_tokens = false}), chat["ids"].get<Ids>()) << text;
  }
}

TEST_P(ChatGlm, HasItsCommandsBehindTheModel) {
  const TextAssets assets = this->assets();
  const OrderedJson facts = this->facts();
  for (const auto& [token, id] : facts["commands"].items()) {
    EXPECT_EQ(assets.tokenizer.token_to_id(token), id.get<int32_t>());
    EXPECT_EQ(assets.tokenizer.id_to_token(id.get<int32_t>()), token);
  }
  for (const OrderedJson& item : facts["plain"]) {
    EXPECT_EQ(assets.tokenizer.encode(item["text"].get<std::string>(), {.add_special_tokens = true}),
              item["ids"].get<Ids>());
  }
  EXPECT_EQ(assets.eos.value().text, "</s>");
  EXPECT_EQ(assets.tokenizer.vocab_size(), facts["commands"]["[MASK]"].get<int64_t>() + facts["commands"].size());
}

TEST(SentencePieceChatGlm2, HasNoSystemMessage) {
  const TextAssets assets = load_text_assets(folder() + "chatglm2");
  const Json messages = {{{"role", "system"}, {"content", "x"}}, {{"role", "user"}, {"content", "y"}}};
  EXPECT_THAT(thrown_by([&] { assets.chat_template.value().render(messages, {}); }),
              says("the chat template of ChatGLM2", "no system message"));
}

/// A directory of its own with one damaged tokenizer.model.
class HostileModel : public ::testing::Test {
 protected:
  static std::string contents_of(const std::string& name) {
    std::ifstream in(folder() + name + ".model", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& model) {
    std::ofstream(directory_ / "tokenizer.model", std::ios::binary | std::ios::trunc) << model;
  }
  Error load_error(const std::string& model) {
    write(model);
    return thrown_by([this] { load_text_assets(directory_); });
  }
  /// Loaded and used, or refused by name.
  void expect_safe(const std::string& model) {
    write(model);
    try {
      const Tokenizer tokenizer = load_text_assets(directory_).tokenizer;
      const Ids ids = tokenizer.encode("plain text, <s> 你好 😀\n ①", {.add_special_tokens = true});
      tokenizer.decode(ids, {.skip_special_tokens = false});
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kModel);
      ASSERT_THAT(error, says("tokenizer.model"));
    }
  }

  test::TemporaryDirectory place_;
  const std::filesystem::path& directory_ = place_.path();
};

TEST_F(HostileModel, CutShortIsRefusedByName) {
  const std::string whole = contents_of("bytes");
  for (size_t size = 0; size < whole.size() - 40; size += 1 + size / 100) {
    const Error error = load_error(whole.substr(0, size));
    ASSERT_EQ(error.kind(), ErrorKind::kModel) << size;
    ASSERT_THAT(error, says("tokenizer.model"));
  }
}

TEST_F(HostileModel, WithDamagedBytesIsRefusedOrSafe) {
  Random random(5, RandomStream::kData);
  for (const char* name : {"bytes", "plain"}) {
    const std::string whole = contents_of(name);
    for (int round = 0; round < 100; ++round) {
      std::string damaged = whole;
      for (uint64_t i = 0, count = 1 + random.below(4); i < count; ++i)
        damaged[random.below(whole.size())] = static_cast<char>(random.below(256));
      expect_safe(damaged);
    }
  }
}

TEST_F(HostileModel, WhoseNormalisationTableLeadsOutOfItIsRefused) {
  const std::string whole = contents_of("plain");
  const size_t table = whole.find("nmt_nfkc");
  ASSERT_NE(table, std::string::npos);
  Random random(6, RandomStream::kData);
  int refused = 0;
  for (int round = 0; round < 40; ++round) {
    // Units near the root, whose offsets lead far.
    std::string damaged = whole;
    for (size_t unit = 0; unit < 40; ++unit) {
      const size_t place = table + 20 + 4 * random.below(2000);
      if (place + 4 < damaged.size()) damaged.replace(place, 4, "\xFF\xFF\xFF\x7F");
    }
    write(damaged);
    refused += thrown_by([this] { load_text_assets(directory_); }).kind() == ErrorKind::kModel;
    expect_safe(damaged);
  }
  EXPECT_GT(refused, 20);
}

TEST_F(HostileModel, OfAnotherKindIsRefused) {
  for (const std::string& text : {std::string("{\"model\": {}}"), std::string(1000, '\0'), std::string("\x0A\x00", 2),
                                  std::string("PK\x03\x04"), std::string("\x0A\xFF\xFF\xFF\xFF\x7F", 6)}) {
    const Error error = load_error(text);
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error, says("tokenizer.model"));
  }
}

TEST_F(HostileModel, BesideAConfigurationThatContradictsItIsRefused) {
  const std::string whole = contents_of("bytes");
  const auto with = [&](const std::string& config) {
    std::ofstream(directory_ / "tokenizer_config.json") << config;
    return load_error(whole);
  };
  EXPECT_THAT(with(R"({"legacy": false})"), says("tokenizer_config.json", "legacy", "tokenizer.json"));
  EXPECT_THAT(with(R"({"added_tokens_decoder": {"7": {"content": "a"}, "07": {"content": "b"}}})"),
              says("tokenizer.model", "two added tokens have one id"));
  EXPECT_THAT(with(R"({"added_tokens_decoder": {"7": {"content": ""}}})"), says("tokenizer.model", "empty"));
  EXPECT_THAT(with(R"({"added_tokens_decoder": {"3000000000": {"content": "a"}}})"), says("tokenizer_config.json"));
  const std::string deep = std::string(50'000, '[') + std::string(50'000, ']');
  EXPECT_THAT(with(R"({"tokenizer_class": "ChatGLMTokenizer", "deep": )" + deep + "}"),
              says("tokenizer_config.json", "nested too deeply"));
}

}  // namespace
}  // namespace moelora::text
