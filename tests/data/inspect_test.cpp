#include "data/inspect.h"

#include <gmock/gmock.h>

#include "data/made_files.h"
#include "data/small_text.h"

namespace moelora::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Inspect : public MadeFiles {
 protected:
  Dataset load() {
    config_.sources = {{.path = (root_ / "d").string()}};
    return load_dataset(config_, {});
  }
  config::DataConfig config_;
  const PromptRenderer renderer_{small_assets(), {}};
};

TEST_F(Inspect, CharactersAreCountedWithoutATokenizer) {
  write("d/t/train.jsonl", qa("四个字符", "ab") + qa(std::string(100, 'x'), "abcd"));
  write("d/u/train.jsonl", qa("x", "abcdef"));
  const InspectReport report = inspect(load(), nullptr);
  ASSERT_EQ(report.lengths.size(), 2u);
  EXPECT_EQ(report.lengths[0].shortest, 6);
  EXPECT_EQ(report.lengths[0].longest, 104);
  EXPECT_THAT(report.lengths[0].histogram, testing::ElementsAre(1, 1));
  EXPECT_DOUBLE_EQ(report.lengths[0].supervised_share, 0.5);
  EXPECT_EQ(report.lengths[0].longest_answer, 4);
}

TEST_F(Inspect, TokensAndWhatWouldBeCutAreThoseOfTraining) {
  std::string rows;
  for (int i = 0; i < 40; ++i) rows += qa(std::string(10 * i + 1, 'x'), "answer");
  write("d/t/train.jsonl", rows);
  config_.max_length = 100;
  config_.overflow = config::Overflow::kCutHead;
  const Dataset dataset = load();
  const LengthReport lengths = inspect(dataset, &renderer_).lengths.at(0);
  const EncodedRows encoded = encode_rows(dataset, Split::kTrain, renderer_);
  EXPECT_EQ(lengths.too_long, encoded.stats()[0].cut);
  EXPECT_GT(lengths.too_long, 0);
  EXPECT_EQ(lengths.answer_too_long, 0);
  const Row& last = dataset.tasks[0].of(Split::kTrain).back();
  EXPECT_EQ(lengths.longest, static_cast<int64_t>(renderer_.prompt_ids(last.messages, "").size() +
                                                  renderer_.answer_ids(last.answer).size()));
}

TEST_F(Inspect, TheReportNamesFilesTasksOverlapsAndNoText) {
  write("d/t/train.jsonl", qa("SECRET", "SECRET", R"("license": "CC0")"));
  write("d/t/test.jsonl", qa("SECRET", "other"));
  const std::string text = format_report(inspect(load(), &renderer_));
  EXPECT_THAT(text, AllOf(HasSubstr("t/train.jsonl  train, promptcblue, 1 rows, licence: CC0"), HasSubstr("too long"),
                          HasSubstr("100.0%"), HasSubstr("overlap of training and test sets"), HasSubstr("data hash "),
                          Not(HasSubstr("SECRET"))));
}

TEST_F(Inspect, AMissingChatTemplateIsSaidWhereRowsNeedOne) {
  const auto warnings = [this](bool chat, bool with_template) {
    const PromptRenderer renderer(small_assets(with_template), {.chat = chat});
    return inspect(load(), &renderer).warnings;
  };
  const auto missing = testing::Contains(HasSubstr("no chat template"));
  write("d/t/train.jsonl", R"({"text": "plain"})"
                           "\n");
  EXPECT_THAT(warnings(true, false), Not(missing));
  write("d/u/train.jsonl", qa("which code", "the note"));
  EXPECT_THAT(warnings(true, false), missing);
  EXPECT_THAT(warnings(true, true), Not(missing));
  EXPECT_THAT(warnings(false, false), Not(missing));
}

TEST_F(Inspect, ARenderedRowShowsTemplateAndLossMask) {
  write("d/t/train.jsonl",
        qa("which code", "the note") + R"({"input": "a\u001b[2J\u009bx\u0000\n", "target": "b"})" + "\n");
  const Dataset dataset = load();
  const std::vector<Row>& rows = dataset.tasks[0].of(Split::kTrain);
  EXPECT_THAT(render_row(dataset, 0, rows[0], renderer_, {}),
              AllOf(HasSubstr("train.jsonl:1  task t"),
                    HasSubstr("<|start|>user\nwhich code<|end|>\n<|start|>assistant\n⟦the note<|end|>⟧")));
  EXPECT_THAT(render_row(dataset, 0, rows[0], renderer_, {.colour = true}),
              HasSubstr("\x1b[32mthe note<|end|>\x1b[0m"));
  EXPECT_THAT(render_row(dataset, 0, rows[1], renderer_, {}), HasSubstr("a\\x1b[2J\\x9bx\\x00\n<|end|>"));
}

TEST_F(Inspect, ARenderedRowIsCutAsInTraining) {
  write("d/t/train.jsonl", qa(std::string(900, 'x'), "the note"));
  config_.max_length = 80;
  config_.overflow = config::Overflow::kCutMiddle;
  const Dataset dataset = load();
  EXPECT_THAT(render_row(dataset, 0, dataset.tasks[0].of(Split::kTrain)[0], renderer_, {}),
              AllOf(HasSubstr("(cut from "), HasSubstr("⟦the note<|end|>⟧")));
}

}  // namespace
}  // namespace moelora::data
