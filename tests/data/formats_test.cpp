#include "data/formats.h"

#include <gmock/gmock.h>

#include "data/made_files.h"
#include "data/row_file.h"

namespace moelora::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Formats : public MadeFiles {
 protected:
  RowFile read(std::string_view contents, const RowFileOptions& options = {}) {
    return read_row_file(write("rows.jsonl", contents), options);
  }

  /// "role: content" of each message.
  static std::vector<std::string> turns(const Row& row) {
    std::vector<std::string> turns;
    for (const Message& message : row.messages) turns.push_back(message.role + ": " + message.content);
    return turns;
  }
};

TEST_F(Formats, PromptcblueRowKeepsAllItsFields) {
  const RowFile file = read(
      R"({"input": "问：甲？", "target": "乙", "answer_choices": ["乙", "丙"], "task_type": "cls", "task_dataset": "CHIP-CTC", "sample_id": "train-7"})");
  EXPECT_EQ(file.format, "promptcblue");
  ASSERT_EQ(file.rows.size(), 1u);
  const Row& row = file.rows[0];
  EXPECT_THAT(turns(row), ElementsAre("user: 问：甲？"));
  EXPECT_EQ(row.answer, "乙");
  EXPECT_THAT(row.answer_choices, ElementsAre("乙", "丙"));
  EXPECT_EQ(row.task_type, "cls");
  EXPECT_EQ(row.task, "CHIP-CTC");
  EXPECT_EQ(row.id, "train-7");
  EXPECT_EQ(row.line, 1);
}

TEST_F(Formats, PromptcblueAnswerChoicesMayBeNull) {
  EXPECT_THAT(read(R"({"input": "a", "target": "b", "answer_choices": null})").rows[0].answer_choices, IsEmpty());
}

TEST_F(Formats, AlpacaJoinsInstructionAndInputAfterSystemAndHistory) {
  const RowFile file = read(
      R"({"instruction": "Translate.", "input": "oui", "output": "yes", "system": "Be brief.", "history": [["non", "no"]]})");
  EXPECT_EQ(file.format, "alpaca");
  EXPECT_THAT(turns(file.rows[0]),
              ElementsAre("system: Be brief.", "user: non", "assistant: no", "user: Translate.\noui"));
  EXPECT_EQ(file.rows[0].answer, "yes");
}

TEST_F(Formats, AlpacaWithoutInputIsTheInstructionAlone) {
  EXPECT_THAT(turns(read(R"({"instruction": "Say hi.", "input": "", "output": "hi"})").rows[0]),
              ElementsAre("user: Say hi."));
}

TEST_F(Formats, MessagesTakeTheLastAssistantTurnAsAnswer) {
  const RowFile file = read(
      R"({"messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, )"
      R"({"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]}, )"
      R"({"role": "assistant", "content": "e"}], "task": "talk", "id": 12})");
  EXPECT_EQ(file.format, "messages");
  EXPECT_THAT(turns(file.rows[0]), ElementsAre("system: S", "user: a", "assistant: b", "user: cd"));
  EXPECT_EQ(file.rows[0].answer, "e");
  EXPECT_EQ(file.rows[0].task, "talk");
  EXPECT_EQ(file.rows[0].id, "12");
}

TEST_F(Formats, SharegptMapsItsSpeakers) {
  const RowFile file = read(
      R"({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "S", "channel": "web"})");
  EXPECT_EQ(file.format, "sharegpt");
  EXPECT_THAT(turns(file.rows[0]), ElementsAre("system: S", "user: a"));
  EXPECT_EQ(file.rows[0].answer, "b");
  EXPECT_EQ(file.rows[0].task, "web");
}

TEST_F(Formats, CompletionAndTextRows) {
  const RowFile completion = read(R"({"prompt": "2+2=", "completion": "4"})");
  EXPECT_EQ(completion.format, "completion");
  EXPECT_THAT(turns(completion.rows[0]), ElementsAre("user: 2+2="));
  EXPECT_EQ(completion.rows[0].answer, "4");

  const RowFile text = read(R"({"text": "Once upon", "id": "x"})");
  EXPECT_EQ(text.format, "text");
  EXPECT_TRUE(text.rows[0].is_text());
  EXPECT_EQ(text.rows[0].answer, "Once upon");
}

TEST_F(Formats, TheFirstTaskKeyPresentNamesTheTask) {
  const std::string both = R"({"input": "a", "target": "b", "channel": "third", "task_dataset": "second"})";
  EXPECT_EQ(read(both).rows[0].task, "second");
}

TEST_F(Formats, GroupsAndLicencesAreKept) {
  const RowFile file =
      read(qa("a", "b", R"("patient": 4, "license": "CC0")") + qa("c", "d", R"("patient": "p5", "license": "MIT")") +
               qa("e", "f", R"("patient": 4, "license": "CC0")"),
           {.group_key = "patient"});
  EXPECT_EQ(file.rows[0].group, "4");
  EXPECT_EQ(file.rows[1].group, "p5");
  EXPECT_EQ(file.licence, "CC0; MIT");
}

struct BadRow {
  const char* name;
  std::string row;
  std::vector<std::string> says;  // parts of the message
  std::optional<std::string> format;
};

void PrintTo(const BadRow& row, std::ostream* out) {
  *out << row.name;
}

class BadRows : public Formats, public testing::WithParamInterface<BadRow> {};

TEST_P(BadRows, AreRejectedWithFileLineAndReasonButNotTheirText) {
  const BadRow& bad = GetParam();
  const std::string message = thrown([&] { read("\n" + bad.row, {.format = bad.format}); });
  EXPECT_THAT(message, HasSubstr("rows.jsonl:2: "));
  for (const std::string& part : bad.says) EXPECT_THAT(message, HasSubstr(part));
  EXPECT_THAT(message, testing::Not(HasSubstr("SECRET")));
}

INSTANTIATE_TEST_SUITE_P(
    Formats, BadRows,
    testing::Values(
        BadRow{"ambiguous",
               R"({"input": "SECRET", "target": "b", "instruction": "c", "output": "d"})",
               {"more than one format", "promptcblue (input, target)", "alpaca (instruction, output)", "`format:`"}},
        BadRow{"unknown",
               R"({"question": "SECRET", "reply": "b"})",
               {"fits no format", "`question`, `reply`", "promptcblue (input, target)", "sharegpt (conversations)",
                "text (text)"}},
        BadRow{"misspelt", R"({"instruction": "a", "ouptut": "SECRET"})", {"`ouptut`: did you mean `output`?"}},
        BadRow{"text_and_more", R"({"text": "SECRET", "label": 3})", {"fits no format", "`format: text`"}},
        BadRow{"no_keys", "{}", {"fits no format", "no keys"}},
        BadRow{"array_row", R"({"input": "a", "target": ["SECRET"]})", {"`target`", "an array", "a string"}},
        BadRow{"null_target", R"({"input": "SECRET", "target": null})", {"`target`", "null", "a string"}},
        BadRow{"empty_answer", R"({"input": "SECRET", "target": ""})", {"the answer is empty"}},
        BadRow{"empty_prompt", R"({"input": "", "target": "SECRET"})", {"the prompt is empty"}},
        BadRow{"not_an_object", "\"SECRET\"", {"wrong type", "a string", "a JSON object"}},
        BadRow{"choices_text",
               R"({"input": "a", "target": "b", "answer_choices": "SECRET"})",
               {"`answer_choices`", "a string", "an array"}},
        BadRow{"choice_number",
               R"({"input": "a", "target": "b", "answer_choices": [1]})",
               {"`answer_choices`", "a number", "strings"}},
        BadRow{"task_number", R"({"input": "a", "target": "b", "task": 4})", {"`task`", "a number"}},
        BadRow{"history_shape",
               R"({"instruction": "a", "output": "b", "history": [["x"]]})",
               {"`history`[0]", "[question, answer]"}},
        BadRow{"history_type",
               R"({"instruction": "a", "output": "b", "history": "SECRET"})",
               {"`history`", "a string", "an array"}},
        BadRow{"last_is_user",
               R"({"messages": [{"role": "user", "content": "SECRET"}]})",
               {"doesn't end with the assistant's answer", "`user` last"}},
        BadRow{"no_user", R"({"messages": [{"role": "assistant", "content": "SECRET"}]})", {"no user message"}},
        BadRow{"no_messages", R"({"messages": []})", {"`messages` is empty"}},
        BadRow{"messages_type", R"({"messages": {"role": "user"}})", {"`messages`", "an object", "an array"}},
        BadRow{"role",
               R"({"messages": [{"role": "SECRET", "content": "SECRET"}]})",
               {"`messages`[0]", "a role of 6 bytes", "user or assistant"}},
        BadRow{"speaker",
               R"({"conversations": [{"from": "SECRET", "value": "SECRET"}]})",
               {"`conversations`[0]", "a speaker of 6 bytes", "human, user, gpt"}},
        BadRow{"no_content", R"({"messages": [{"role": "user"}]})", {"`messages`[0] has no `content`"}},
        BadRow{"image",
               R"({"messages": [{"role": "user", "content": [{"type": "image_url", "url": "SECRET"}]}]})",
               {"isn't text"}},
        BadRow{
            "tool_calls",
            R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [1]}]})",
            {"`messages`[1]", "`tool_calls`"}},
        BadRow{"bird",
               R"({"conversations": [{"from": "bird", "value": "SECRET"}]})",
               {"`conversations`[0]", "a speaker of 4 bytes"}},
        BadRow{"declared_format",
               R"({"input": "SECRET", "target": "b"})",
               {"`prompt`", "completion", "is missing"},
               "completion"}),
    [](const testing::TestParamInfo<BadRow>& info) { return info.param.name; });

TEST_F(Formats, OneFileHasOneFormat) {
  EXPECT_THAT(thrown([&] { read(qa("a", "b") + R"({"instruction": "a", "output": "b"})"); }),
              AllOf(HasSubstr("rows.jsonl:2"), HasSubstr("promptcblue"), HasSubstr("`input`")));
}

TEST_F(Formats, ADeclaredFormatSettlesAnAmbiguousRow) {
  const RowFile file =
      read(R"({"input": "a", "target": "b", "instruction": "c", "output": "d"})", {.format = "alpaca"});
  EXPECT_EQ(file.rows[0].answer, "d");
}

TEST_F(Formats, AnUnknownFormatNamesTheNearest) {
  EXPECT_THAT(thrown([&] { read(qa("a", "b"), {.format = "promptblue"}); }), HasSubstr("did you mean `promptcblue`?"));
}

TEST_F(Formats, PromptsNeedNoAnswerWhereAnswersAreOptional) {
  const RowFileOptions prompts{.answers = Answers::kOptional};
  const std::vector<std::pair<std::string, std::string>> rows = {
      {R"({"input": "q", "answer_choices": ["a"]})", "promptcblue"},
      {R"({"prompt": "q"})", "completion"},
      {R"({"prompt": "q", "completion": null})", "completion"},
      {R"({"instruction": "q", "input": ""})", "alpaca"},
      {R"({"messages": [{"role": "user", "content": "q"}]})", "messages"},
      {R"({"conversations": [{"from": "human", "value": "q"}]})", "sharegpt"}};
  for (const auto& [row, format] : rows) {
    const RowFile file = read(row, prompts);
    EXPECT_EQ(file.format, format);
    EXPECT_THAT(turns(file.rows[0]), ElementsAre("user: q")) << row;
    EXPECT_EQ(file.rows[0].answer, "");
  }
  EXPECT_EQ(read(R"({"prompt": "q", "completion": "a"})", prompts).rows[0].answer, "a");
  const RowFile talk =
      read(R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})", prompts);
  EXPECT_THAT(turns(talk.rows[0]), ElementsAre("user: q")) << "the last answer is the one to be written";
  EXPECT_THAT(thrown([&] { read(R"({"text": "q"})", prompts); }), HasSubstr("without a prompt"));
  EXPECT_THAT(thrown([&] { read(R"({"messages": [{"role": "system", "content": "q"}]})", prompts); }),
              HasSubstr("no user message"));
}

TEST_F(Formats, AMissingGroupFieldIsAnError) {
  EXPECT_THAT(thrown([&] { read(qa("a", "b", R"("patient": 1)") + qa("c", "d"), {.group_key = "patient"}); }),
              AllOf(HasSubstr("rows.jsonl:2"), HasSubstr("`patient`")));
}

}  // namespace
}  // namespace moelora::data
