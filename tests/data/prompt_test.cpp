#include "data/prompt.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "data/made_files.h"
#include "data/small_text.h"

namespace moelora::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

using Ids = std::vector<int32_t>;

Ids joined(Ids first, const Ids& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

PromptRenderer small_renderer(config::TemplateConfig config = {}, bool with_template = true) {
  return PromptRenderer(small_assets(with_template), std::move(config));
}

TEST(Prompt, TheEndOfTurnIsReadFromTheTemplate) {
  const PromptRenderer renderer = small_renderer();
  EXPECT_EQ(renderer.end_of_turn(), "<|end|>");
  EXPECT_EQ(renderer.answer_lead(), "");
  EXPECT_THAT(renderer.stop_ids(),
              ElementsAre(*renderer.tokenizer().token_to_id("<|eos|>"), *renderer.tokenizer().token_to_id("<|end|>")));
}

TEST(Prompt, PromptAndAnswerAreTheWholeConversationsTokens) {
  const PromptRenderer renderer = small_renderer();
  const std::vector<Message> messages = {{"user", "which code"}};
  EXPECT_EQ(renderer.prompt_text(messages, ""), "<|start|>user\nwhich code<|end|>\n<|start|>assistant\n");
  EXPECT_EQ(joined(renderer.prompt_ids(messages, ""), renderer.answer_ids("the note")),
            renderer.tokenizer().encode("<|start|>user\nwhich code<|end|>\n<|start|>assistant\nthe note<|end|>",
                                        {.add_special_tokens = false}));
}

TEST(Prompt, TemplateOptionsReachTheTemplateAsJson) {
  const PromptRenderer renderer = small_renderer({.options = {{"enable_thinking", "false"}}});
  EXPECT_THAT(renderer.prompt_text(std::vector<Message>{{"user", "a"}}, ""),
              EndsWith("assistant\n<think>\n\n</think>\n\n"));
  EXPECT_EQ(renderer.end_of_turn(), "<|end|>");
  EXPECT_THAT(thrown([] {
                small_renderer({.options = {{"enable_thinking", "no"}}});
              }),
              AllOf(HasSubstr("template.options.enable_thinking"), HasSubstr("JSON")));
}

TEST(Prompt, TheConfiguredSystemMessageIsForRowsWithoutOne) {
  const PromptRenderer renderer = small_renderer({.system = "Be brief."});
  EXPECT_THAT(renderer.prompt_text(std::vector<Message>{{"user", "a"}}, ""),
              StartsWith("<|start|>system\nBe brief.<|end|>"));
  EXPECT_THAT(renderer.prompt_text(std::vector<Message>{{"system", "own"}, {"user", "a"}}, ""),
              StartsWith("<|start|>system\nown<|end|>"));
}

TEST(Prompt, TheTaskPromptGoesBeforeTheLastUserMessage) {
  const std::vector<Message> messages = {{"user", "a"}, {"assistant", "b"}, {"user", "c"}};
  EXPECT_EQ(
      small_renderer().prompt_text(messages, "TASK"),
      "<|start|>user\na<|end|>\n<|start|>assistant\nb<|end|>\n<|start|>user\nTASK\nc<|end|>\n<|start|>assistant\n");
}

TEST(Prompt, WithoutTemplateThePromptIsPlainTextAndEosEndsTheAnswer) {
  for (const bool with_template : {false, true}) {
    const PromptRenderer renderer = small_renderer({.chat = false, .system = "S"}, with_template);
    EXPECT_FALSE(renderer.uses_chat_template());
    EXPECT_EQ(renderer.prompt_text(std::vector<Message>{{"user", "a"}}, "T"), "S\nT\na");
    const int32_t eos = *renderer.tokenizer().token_to_id("<|eos|>");
    EXPECT_EQ(renderer.answer_ids("note"),
              joined(renderer.tokenizer().encode("note", {.add_special_tokens = false}), {eos}));
    EXPECT_THAT(renderer.stop_ids(), ElementsAre(eos));
    EXPECT_EQ(renderer.template_hash(), "");
  }
}

TEST(Prompt, ATemplateWithoutEndTokenFallsBackToEos) {
  text::TextAssets assets = small_assets();
  assets.chat_template =
      text::ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "plain template");
  const PromptRenderer renderer(assets, {});
  EXPECT_EQ(renderer.answer_ids("note").back(), *renderer.tokenizer().token_to_id("<|eos|>"));
  assets.eos.reset();
  EXPECT_THAT(thrown([&] { PromptRenderer(assets, {}); }), HasSubstr("no token ends an answer"));
}

TEST(Prompt, ABlankTheTemplatePutsBeforeAnswersBelongsToThemWhereTheTokenizerAddsNone) {
  text::TextAssets assets = small_assets();
  assets.chat_template = text::ChatTemplate(
      "{% for m in messages %}{% if m.role == 'user' %}{{ '<|start|>' + m.content + ':' }}{% else %}{{ ' ' + m.content "
      "+ '<|end|>' }}"
      "{% endif %}{% endfor %}",
      "blank template");
  const PromptRenderer renderer(assets, {});
  EXPECT_EQ(renderer.answer_lead(), " ");
  EXPECT_EQ(
      joined(renderer.prompt_ids(std::vector<Message>{{"user", "which code"}}, ""), renderer.answer_ids("the note")),
      renderer.tokenizer().encode("<|start|>which code: the note<|end|>", {.add_special_tokens = false}));
}

TEST(Prompt, ATemplateThatHidesTheAnswerIsAnError) {
  text::TextAssets assets = small_assets();
  assets.chat_template = text::ChatTemplate("{{ messages[0].content }}<|end|>", "odd template");
  EXPECT_THAT(thrown([&] { PromptRenderer(assets, {}); }),
              AllOf(HasSubstr("odd template"), HasSubstr("`template.chat: false`")));
}

TEST(Prompt, GenerationConfigsEndTokensStopToo) {
  const std::vector<int64_t> extra = {77, 5};
  const PromptRenderer renderer(small_assets(), {}, extra);
  EXPECT_THAT(renderer.stop_ids(), testing::IsSupersetOf({int64_t{5}, int64_t{77}}));
  EXPECT_TRUE(std::ranges::is_sorted(renderer.stop_ids()));
}

TEST(Prompt, SpecialTokensInRowTextAreReadAsTokensAsInTransformers) {
  const PromptRenderer renderer = small_renderer();
  const Ids ids = renderer.prompt_ids(std::vector<Message>{{"user", "a<|end|>b"}}, "");
  EXPECT_EQ(std::ranges::count(ids, *renderer.tokenizer().token_to_id("<|end|>")), 2);
}

class Overflow : public testing::TestWithParam<int64_t> {
 protected:
  const PromptRenderer renderer_ = small_renderer();
  const std::string content_ = [] {
    std::string text = "HEAD ";
    for (int i = 0; i < 200; ++i) text += "word" + std::to_string(i) + " 字é😀 ";
    return text + "TAIL";
  }();
};

TEST_P(Overflow, CuttingKeepsTheScaffoldAndFillsTheLimit) {
  Row row = made_row(content_, "x");
  row.messages.insert(row.messages.begin(), {{"system", "Rules."}, {"user", "first"}, {"assistant", "reply"}});
  const config::TaskConfig task{.prompt = "TASK"};
  for (const config::Overflow rule : {config::Overflow::kCutMiddle, config::Overflow::kCutHead}) {
    const FittedPrompt fitted = fit_prompt(renderer_, row, task, GetParam(), rule);
    EXPECT_TRUE(fitted.cut);
    EXPECT_GT(fitted.tokens_before, GetParam());
    EXPECT_LE(static_cast<int64_t>(fitted.ids.size()), GetParam());
    EXPECT_GE(static_cast<int64_t>(fitted.ids.size()), GetParam() - 12) << "more was cut than needed";
    const std::string text = renderer_.tokenizer().decode(fitted.ids, {.skip_special_tokens = false});
    EXPECT_THAT(text, StartsWith("<|start|>system\nRules.<|end|>\n<|start|>user\nfirst<|end|>\n<|start|>"
                                 "assistant\nreply<|end|>\n<|start|>user\nTASK\n"));
    EXPECT_THAT(text, EndsWith("TAIL<|end|>\n<|start|>assistant\n"));
    EXPECT_EQ(text.find("HEAD") != std::string::npos, rule == config::Overflow::kCutMiddle);
    EXPECT_EQ(text.find("\xEF\xBF\xBD"), std::string::npos) << "a character was cut in half";
    EXPECT_EQ(fitted.ids, renderer_.tokenizer().encode(text, {.add_special_tokens = false}))
        << "not the tokens of the shortened text";
  }
}

INSTANTIATE_TEST_SUITE_P(Limits, Overflow, testing::Values(120, 121, 137, 200, 500, 1000));

TEST_F(Overflow, DropAndErrorSayWhatWasFound) {
  const Row row = made_row(content_, "x");
  const FittedPrompt dropped = fit_prompt(renderer_, row, {}, 50, config::Overflow::kDrop);
  EXPECT_TRUE(dropped.dropped);
  EXPECT_THAT(dropped.ids, testing::IsEmpty());
  EXPECT_THAT(thrown([&] { fit_prompt(renderer_, row, {}, 50, config::Overflow::kError); }),
              AllOf(HasSubstr("made.jsonl:7"), HasSubstr(std::to_string(dropped.tokens_before) + " tokens"),
                    HasSubstr("at most 50"), testing::Not(HasSubstr("word"))));
}

TEST_F(Overflow, AScaffoldOverTheLimitCannotBeCut) {
  Row row = made_row("short", "x");
  row.messages.insert(row.messages.begin(), {"system", content_});
  EXPECT_THAT(thrown([&] { fit_prompt(renderer_, row, {}, 50, config::Overflow::kCutMiddle); }),
              AllOf(HasSubstr("made.jsonl:7"), HasSubstr("without its last user message")));
}

TEST(Prompt, APromptThatFitsIsLeftAlone) {
  const PromptRenderer renderer = small_renderer();
  const Row row = made_row("which code", "x");
  const Ids whole = renderer.prompt_ids(row.messages, "");
  for (const config::Overflow rule :
       {config::Overflow::kError, config::Overflow::kDrop, config::Overflow::kCutMiddle, config::Overflow::kCutHead}) {
    const FittedPrompt fitted = fit_prompt(renderer, row, {}, static_cast<int64_t>(whole.size()), rule);
    EXPECT_EQ(fitted.ids, whole);
    EXPECT_FALSE(fitted.cut || fitted.dropped);
  }
}

TEST(Prompt, ARefusalOfTheTemplateNamesTheRow) {
  text::TextAssets assets = small_assets();
  assets.chat_template =
      text::ChatTemplate("{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" +
                             std::string(kSmallTemplate),
                         "strict template");
  const PromptRenderer renderer(assets, {});
  Row row = made_row("a", "b");
  row.messages.insert(row.messages.begin(), {"system", "S"});
  EXPECT_THAT(thrown([&] { fit_prompt(renderer, row, {}, 100, config::Overflow::kError); }),
              AllOf(HasSubstr("made.jsonl:7"), HasSubstr("no system role")));
}

/// The Llama-2 tokenizer comes without a template. A blank stands before and after each answer.
constexpr const char* kLlama2Shape =
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}";

struct RealModel {
  const char* name;
  const char* end_of_turn;
  std::map<std::string, std::string> options;
  const char* prompt_end;
};

void PrintTo(const RealModel& model, std::ostream* out) {
  *out << model.name;
}

class RealTemplates : public testing::TestWithParam<RealModel> {};

TEST_P(RealTemplates, PromptAndAnswerTokensAreTheTemplatesOwn) {
  const RealModel& model = GetParam();
  const std::filesystem::path directory = std::filesystem::path(".deps/tokenizers") / model.name;
  ASSERT_TRUE(std::filesystem::exists(directory / "tokenizer.json")) << "run scripts/fetch-tokenizers";
  text::TextAssets assets = text::load_text_assets(directory);
  if (!assets.chat_template) assets.chat_template = text::ChatTemplate(kLlama2Shape, "template of Llama-2's shape");
  const PromptRenderer renderer(assets, {.options = model.options});
  EXPECT_EQ(renderer.end_of_turn(), model.end_of_turn);
  EXPECT_EQ(renderer.answer_lead(), "");
  const std::vector<Message> messages = {{"user", "Which code? 哪个？"}};
  EXPECT_THAT(renderer.prompt_text(messages, ""), EndsWith(model.prompt_end));

  // The template's own rendering of the finished conversation, up to its end token, tokenised as one text.
  text::Json variables = assets.template_variables;
  for (const auto& [name, value] : model.options) variables[name] = text::Json::parse(value);
  for (const std::string answer : {"J45.909", "是的，哮喘", "two words, and more", "😀"}) {
    const text::Json conversation = {{{"role", "user"}, {"content", messages[0].content}},
                                     {{"role", "assistant"}, {"content", answer}}};
    std::string whole = assets.chat_template->render(conversation, {.variables = variables});
    whole.resize(whole.rfind(model.end_of_turn) + std::string(model.end_of_turn).size());
    const Ids ids = joined(renderer.prompt_ids(messages, ""), renderer.answer_ids(answer));
    EXPECT_EQ(ids, assets.tokenizer.encode(whole, {.add_special_tokens = false})) << answer;
    EXPECT_THAT(renderer.stop_ids(), testing::Contains(ids.back()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Prompt, RealTemplates,
    testing::Values(RealModel{"qwen3",
                              "<|im_end|>",
                              {{"enable_thinking", "false"}},
                              "<|im_start|>assistant\n<think>\n\n</think>\n\n"},
                    RealModel{"llama3_1", "<|eot_id|>", {}, "<|start_header_id|>assistant<|end_header_id|>\n\n"},
                    RealModel{"llama2", " </s>", {}, "[/INST]"},
                    RealModel{"gemma3", "<end_of_turn>", {}, "<start_of_turn>model\n"}),
    [](const testing::TestParamInfo<RealModel>& info) { return info.param.name; });

TEST(RealTemplatesThinking, Qwen3LeftToThinkHasTheAnswerRightAfterItsGenerationPrompt) {
  const std::filesystem::path directory = ".deps/tokenizers/qwen3";
  ASSERT_TRUE(std::filesystem::exists(directory / "tokenizer.json")) << "run scripts/fetch-tokenizers";
  const PromptRenderer renderer(text::load_text_assets(directory), {});
  EXPECT_THAT(renderer.prompt_text(std::vector<Message>{{"user", "a"}}, ""), EndsWith("<|im_start|>assistant\n"));
  EXPECT_EQ(renderer.tokenizer().decode(renderer.answer_ids("J45"), {.skip_special_tokens = false}), "J45<|im_end|>");
}

}  // namespace
}  // namespace moelora::data
