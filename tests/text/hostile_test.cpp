// Files and texts that are not what they should be: an error that names them, never a crash.
#include <filesystem>
#include <functional>
#include <thread>

#include "core/random.h"
#include "expected.h"
#include "support/fixtures_dir.h"
#include "text/assets.h"
#include "text/chat_template.h"

namespace moelora::text {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A model directory of its own for each test, from files' contents.
class HostileDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = std::filesystem::path(::testing::TempDir()) / ("moelora_text_" + std::string(info->name()));
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    write("tokenizer.json", contents_of(testing::fixtures_dir() + "/text/assets/bare/tokenizer.json"));
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& file, const std::string& text) {
    std::ofstream(directory_ / file, std::ios::binary) << text;
  }
  Error load_error() {
    return thrown_by([this] { load_text_assets(directory_); });
  }
  std::filesystem::path directory_;
};

TEST_F(HostileDirectory, ThatHasNoTokenizer) {
  std::filesystem::remove(directory_ / "tokenizer.json");
  const Error error = load_error();
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_THAT(error, says((directory_ / "tokenizer.json").string(), "no such file"));
}

TEST_F(HostileDirectory, WhoseTokenizerIsADirectory) {
  std::filesystem::remove(directory_ / "tokenizer.json");
  std::filesystem::create_directory(directory_ / "tokenizer.json");
  EXPECT_THAT(load_error(), says("tokenizer.json", "not a file"));
}

TEST_F(HostileDirectory, WhoseTokenizerIsTruncated) {
  const std::string whole = contents_of((directory_ / "tokenizer.json").string());
  for (size_t size = 0; size < whole.size(); size += whole.size() / 200) {
    write("tokenizer.json", whole.substr(0, size));
    const Error error = load_error();
    ASSERT_EQ(error.kind(), ErrorKind::kModel) << size;
    ASSERT_THAT(error, says("tokenizer.json"));
  }
}

TEST_F(HostileDirectory, WhoseTokenizerHasDamagedBytes) {
  const std::string whole = contents_of((directory_ / "tokenizer.json").string());
  Random random(5, RandomStream::kData);
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string damaged = whole;
    for (uint64_t i = 0, count = 1 + random.below(4); i < count; ++i)
      damaged[random.below(whole.size())] = static_cast<char>(random.below(256));
    try {
      const Tokenizer tokenizer = Tokenizer::from_json(damaged, "damaged");
      tokenizer.decode(tokenizer.encode("plain text, <s> 你好", {.add_special_tokens = true}),
                       {.skip_special_tokens = false});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

TEST(HostileTokenizer, WithAnIdBeyond32BitsIsRefused) {
  const Error error = thrown_by([] {
    Tokenizer::from_json(R"({"model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "the": 4294967295},
                             "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}})",
                         "tokenizer.json");
  });
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_THAT(error, says("tokenizer.json", "a token's id is too large", "4294967295"));
}

TEST_F(HostileDirectory, WhoseConfigurationIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"eos_token\": ", "not valid JSON"},
      {"[1]", "not a JSON object"},
      {std::string("{}\0x", 4), "a NUL byte"},
      {"{\"a\": " + std::string(50'000, '[') + std::string(50'000, ']') + "}", "nested too deeply"},
      {"{\"eos_token\": 5}", "`eos_token` is not a token"},
      {"{\"eos_token\": {\"text\": \"x\"}}", "`eos_token` is not a token"},
      {"{\"eos_token\": {\"content\": \"x\", \"lstrip\": 1}}", "`eos_token.lstrip` is not true or false"},
      {"{\"split_special_tokens\": \"yes\"}", "`split_special_tokens` is not true or false"},
      {"{\"added_tokens_decoder\": [1]}", "`added_tokens_decoder` is not an object"},
      {"{\"added_tokens_decoder\": {\"x1\": {\"content\": \"a\"}}}", "not a token id (found x1"},
      {"{\"added_tokens_decoder\": {\"1\": {\"content\": null}}}", "is not a token"},
      {"{\"chat_template\": 7}", "`chat_template` is not a template"},
      {"{\"chat_template\": [{\"name\": \"default\"}]}", "not a named template"},
      {"{\"chat_template\": [{\"name\": \"rag\", \"template\": \"x\"}]}", "no chat template is named `default`"},
      {"{\"chat_template\": \"a\\n{{ x\"}", "line 2"},
  };
  for (const auto& [config, problem] : cases) {
    write("tokenizer_config.json", config);
    const Error error = load_error();
    EXPECT_EQ(error.kind(), ErrorKind::kModel) << config;
    EXPECT_THAT(error, says("tokenizer_config.json", problem)) << config;
  }
}

TEST_F(HostileDirectory, MayHaveATemplateForToolsThatDoesNotParse) {
  std::filesystem::create_directory(directory_ / "additional_chat_templates");
  write("additional_chat_templates/tool_use.jinja", "{{ x");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "{{ x"}, {"name": "default", "template": "plain"}]})");
  EXPECT_EQ(load_text_assets(directory_).chat_template.value().source(), "plain");
}

TEST_F(HostileDirectory, WhoseFilesCantBeLookedAt) {
  for (const char* file : {"tokenizer_config.json", "chat_template.jinja", "tokenizer.json"}) {
    std::filesystem::remove(directory_ / file);
    std::filesystem::create_symlink(file, directory_ / file);
    const Error error = load_error();
    EXPECT_EQ(error.kind(), ErrorKind::kIo) << file;
    EXPECT_THAT(error, says(file, "can't look at"));
    std::filesystem::remove(directory_ / file);
  }
}

TEST_F(HostileDirectory, WhoseTemplateFileIsNotUtf8) {
  write("chat_template.jinja", "ok \xC3\x28");
  const Error error = load_error();
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_THAT(error, says("chat_template.jinja", "byte 3 is not valid UTF-8"));
}

TEST_F(HostileDirectory, WhoseTokenizerNestsTooDeep) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += open;
    write("tokenizer.json", deep);
    EXPECT_EQ(load_error().kind(), ErrorKind::kModel);
  }
}

TEST(HostileText, IsNamedWithTheByte) {
  const Tokenizer tokenizer = Tokenizer::load(testing::fixtures_dir() + "/text/assets/bare/tokenizer.json");
  for (const std::string bad :
       {"secret\xFF", "secret\xC3", "secret\xED\xA0\x80", "secret\xC0\x80", "secret\xF4\x90\x80\x80"}) {
    const Error error = thrown_by([&] { tokenizer.encode(bad, {.add_special_tokens = true}); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error, says("byte 6 is not valid UTF-8"));
    EXPECT_THAT(std::string(error.what()), Not(HasSubstr("secret")));
    const Error in_batch = thrown_by([&] {
      tokenizer.encode_batch(std::vector<std::string>{"a", bad, "b"}, {.add_special_tokens = true});
    });
    EXPECT_EQ(in_batch.kind(), ErrorKind::kData);
    EXPECT_THAT(in_batch, says("text 1", "byte 6"));
  }
}

Error render_error(const std::string& source, const Json& messages, const RenderOptions& options = {}) {
  return thrown_by([&] { ChatTemplate(source, "test.jinja").render(messages, options); });
}

const Json& one_message() {
  static const Json messages = {{{"role", "user"}, {"content", "x"}}};
  return messages;
}

TEST(HostileMessages, AreRefused) {
  EXPECT_THAT(render_error("x", Json::object()), says("messages", "not an array"));
  EXPECT_THAT(render_error("x", Json::array()), says("messages", "at least one"));
  EXPECT_THAT(render_error("x", {{{"role", "user"}}, "text"}), says("message 1", "not an object"));
  const Error error = render_error("x", {{{"role", "user"}, {"content", "secret \xFF"}}});
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error, says("UTF-8"));
  EXPECT_THAT(std::string(error.what()), Not(HasSubstr("secret")));
}

TEST(HostileMessages, ThatNestTooDeepAreRefused) {
  Json deep = "bottom";
  for (int i = 0; i < 500; ++i) deep = Json::array({std::move(deep)});
  EXPECT_EQ(render_error("{{ messages }}", {{{"role", "user"}, {"content", deep}}}).kind(), ErrorKind::kData);
}

TEST(HostileTemplate, EndsWithALimit) {
  const std::vector<std::string> sources = {
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
      "{% for a in range(300) %}{{ 'x' * 1000000 }}{% endfor %}",
  };
  for (const std::string& source : sources) {
    const Error error = render_error(source, one_message());
    EXPECT_EQ(error.kind(), ErrorKind::kLimit) << source << error.what();
    EXPECT_THAT(error, says("test.jinja"));
  }
}

TEST(HostileTemplate, RecursionFitsAThreadsStack) {
  Error error = render_error("x", Json::object());
  std::thread([&] {
    error = render_error(
        "{% macro f(n) %}{% for i in [1] %}{% if true %}{{ f(n + 1) | upper }}{% endif %}{% endfor %}{% endmacro %}{{ "
        "f(0) }}",
        one_message());
  }).join();
  EXPECT_EQ(error.kind(), ErrorKind::kLimit) << error.what();
}

TEST(HostileTemplate, ReadsNoFile) {
  for (const std::string source :
       {"{% include '/etc/passwd' %}", "{% import '/etc/passwd' as x %}", "{% extends 'CMakeLists.txt' %}"}) {
    EXPECT_EQ(render_error(source, one_message()).kind(), ErrorKind::kModel) << source;
  }
}

TEST(HostileTemplate, OfDeepOrRandomSyntaxIsRefused) {
  std::string deep = "{{ ";
  for (int i = 0; i < 100'000; ++i) deep += '(';
  EXPECT_EQ(render_error(deep, one_message()).kind(), ErrorKind::kModel);
  Random random(7, RandomStream::kData);
  const std::string pieces[] = {
      "{{",  "}}", "{%", "%}", "{#", "#}", " if ", " for ", " x ", "'", "\"", "generation", "endgeneration",
      "raw", "-",  "\n", "|",  "(",  "\\", "你"};
  for (int round = 0; round < 2000; ++round) {
    std::string source;
    for (uint64_t i = 0, count = random.below(20); i < count; ++i) source += pieces[random.below(std::size(pieces))];
    try {
      ChatTemplate(source, "random").render(one_message(), {});
    } catch (const Error& error) {
      ASSERT_NE(error.kind(), ErrorKind::kInternal) << source << error.what();
    }
  }
}

}  // namespace
}  // namespace moelora::text
