#include "data/encode.h"

#include <gmock/gmock.h>

#include "data/evenly_spaced.h"
#include "data/made_files.h"
#include "data/small_text.h"

namespace moelora::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Row text_row(const std::string& text) {
  Row row = made_row("", text);
  row.messages.clear();
  return row;
}

std::vector<int32_t> copy(std::span<const int32_t> ids) {
  return {ids.begin(), ids.end()};
}

class Encode : public testing::Test {
 protected:
  const PromptRenderer renderer_{small_assets(), {}};
};

TEST_F(Encode, SamplesStandInTheOrderOfTasksAndRowsWhateverTheThreads) {
  std::vector<Row> rows;
  for (int i = 0; i < 200; ++i)
    rows.push_back(made_row("question " + std::to_string(i), "answer " + std::to_string(i * 7)));
  const Dataset dataset = made_dataset({{"a", rows}, {"b", {rows.rbegin(), rows.rend()}}});
  const EncodedRows one = encode_rows(dataset, Split::kTrain, renderer_, {.threads = 1});
  const EncodedRows four = encode_rows(dataset, Split::kTrain, renderer_, {.threads = 4});
  ASSERT_EQ(one.size(), 400);
  ASSERT_EQ(four.size(), 400);
  for (int64_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one.task(i), i / 200);
    EXPECT_EQ(one.row(i), i % 200);
    const Row& row = dataset.tasks[one.task(i)].of(Split::kTrain)[one.row(i)];
    EXPECT_EQ(copy(one.prompt(i)), renderer_.prompt_ids(row.messages, ""));
    EXPECT_EQ(copy(one.answer(i)), renderer_.answer_ids(row.answer));
    EXPECT_EQ(copy(one.ids(i)), copy(four.ids(i)));
    EXPECT_EQ(one.supervised(i), static_cast<int64_t>(one.answer(i).size()));
  }
  EXPECT_EQ(one.stats()[0].rows, 200);
  EXPECT_EQ(one.stats()[0].answer_tokens, one.stats()[1].answer_tokens);
}

TEST_F(Encode, TheAnswerIsAlwaysWholeAndTheLimitKept) {
  std::vector<Row> rows;
  for (int i = 1; i < 60; ++i) rows.push_back(made_row(std::string(i * 9, 'q'), std::string(i % 13 + 1, 'a')));
  Dataset dataset = made_dataset({{"t", rows}});
  dataset.config.max_length = 100;
  int64_t too_long = 0;
  for (const Row& row : rows) {
    too_long += renderer_.prompt_ids(row.messages, "").size() + renderer_.answer_ids(row.answer).size() > 100;
  }
  ASSERT_GT(too_long, 10);
  for (const config::Overflow rule :
       {config::Overflow::kCutMiddle, config::Overflow::kCutHead, config::Overflow::kDrop}) {
    dataset.config.overflow = rule;
    const EncodedRows encoded = encode_rows(dataset, Split::kTrain, renderer_);
    for (int64_t i = 0; i < encoded.size(); ++i) {
      EXPECT_LE(static_cast<int64_t>(encoded.ids(i).size()), 100);
      EXPECT_EQ(copy(encoded.answer(i)), renderer_.answer_ids(rows[encoded.row(i)].answer));
    }
    const TaskTokens& stats = encoded.stats()[0];
    EXPECT_EQ(stats.rows, 59);
    EXPECT_EQ(stats.samples, 59 - stats.dropped);
    EXPECT_EQ(rule == config::Overflow::kDrop ? stats.dropped : stats.cut, too_long);
    EXPECT_GT(stats.removed_tokens, 0);
  }
}

TEST_F(Encode, OverflowIsTheTasksOwnWhereItHasOne) {
  Dataset dataset =
      made_dataset({{"a", {made_row(std::string(500, 'q'), "x")}}, {"b", {made_row(std::string(500, 'q'), "x")}}});
  dataset.config.max_length = 60;
  dataset.config.overflow = config::Overflow::kCutHead;
  dataset.tasks[1].settings.overflow = config::Overflow::kDrop;
  const EncodedRows encoded = encode_rows(dataset, Split::kTrain, renderer_);
  EXPECT_EQ(encoded.stats()[0].cut, 1);
  EXPECT_EQ(encoded.stats()[1].dropped, 1);
}

TEST_F(Encode, AnswersOverTheLimitAreErrorsThatNameEveryRow) {
  Dataset dataset = made_dataset(
      {{"t", {made_row("q", "fine"), made_row("q", std::string(300, 'z')), made_row("q", std::string(400, 'z'))}}});
  dataset.tasks[0].rows[0][2].line = 9;
  dataset.config.max_length = 64;
  dataset.config.overflow = config::Overflow::kDrop;
  EXPECT_THAT(thrown([&] { encode_rows(dataset, Split::kTrain, renderer_); }),
              AllOf(HasSubstr("made.jsonl:7"), HasSubstr("made.jsonl:9"), HasSubstr("answers are never cut"),
                    testing::Not(HasSubstr("zz"))));
}

TEST_F(Encode, TextsAreSplitSoThatEveryTokenIsPredictedOnce) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "word" + std::to_string(i) + " ";
  const std::vector<int32_t> whole = renderer_.text_ids(text);
  EXPECT_EQ(whole.back(), *renderer_.tokenizer().token_to_id("<|eos|>"));
  for (const int64_t limit :
       {2, 3, 50, 51, static_cast<int>(whole.size()) - 1, static_cast<int>(whole.size()), 100000}) {
    Dataset dataset = made_dataset({{"t", {text_row(text)}}});
    dataset.config.max_length = limit;
    const EncodedRows encoded = encode_rows(dataset, Split::kTrain, renderer_);
    std::vector<int32_t> predicted = {whole[0]};
    for (int64_t i = 0; i < encoded.size(); ++i) {
      const std::vector<int32_t> piece = copy(encoded.ids(i));
      EXPECT_LE(static_cast<int64_t>(piece.size()), limit);
      EXPECT_EQ(piece.front(), predicted.back());
      EXPECT_EQ(encoded.supervised(i), static_cast<int64_t>(piece.size()) - 1);
      predicted.insert(predicted.end(), piece.begin() + 1, piece.end());
    }
    EXPECT_EQ(predicted, whole) << limit;
  }
}

TEST_F(Encode, PromptsForGenerationDoNotDependOnTheAnswer) {
  Dataset dataset = made_dataset(
      {{"t", {made_row(std::string(500, 'q'), "x"), made_row(std::string(500, 'q'), std::string(30, 'y'))}}});
  dataset.config.overflow = config::Overflow::kCutMiddle;
  const EncodedRows prompts = encode_prompts(dataset, Split::kTrain, renderer_, 60);
  ASSERT_EQ(prompts.size(), 2);
  EXPECT_EQ(copy(prompts.prompt(0)), copy(prompts.prompt(1)));
  EXPECT_EQ(prompts.answer(0).size(), 0u);
  dataset.tasks[0].rows[0].push_back(text_row("x"));
  EXPECT_THAT(thrown([&] { encode_prompts(dataset, Split::kTrain, renderer_, 60); }), HasSubstr("no prompt"));
}

TEST_F(Encode, APromptThatBecomesNoTokensIsAnErrorThatNamesItsRow) {
  const PromptRenderer plain{small_assets(/*with_template=*/false), {}};
  const Row row = made_row("", "an answer that is no text of its own");
  ASSERT_TRUE(plain.prompt_ids(row.messages, "").empty());
  const Dataset dataset = made_dataset({{"t", {row, made_row("q", "a")}}});
  const auto names_the_row = AllOf(HasSubstr("made.jsonl:7"), HasSubstr("the prompt becomes no tokens"));
  EXPECT_THAT(thrown([&] { encode_rows(dataset, Split::kTrain, plain); }), names_the_row);
  EXPECT_THAT(thrown([&] { encode_prompts(dataset, Split::kTrain, plain, 60); }), names_the_row);
}

TEST(EvenlySpaced, KeepsTheFirstAndTheDistances) {
  using testing::ElementsAre;
  EXPECT_THAT(evenly_spaced(10, 4), ElementsAre(0, 2, 5, 7));
  EXPECT_THAT(evenly_spaced(3, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(evenly_spaced(3, 9), ElementsAre(0, 1, 2));
  EXPECT_THAT(evenly_spaced(3, 0), ElementsAre(0, 1, 2));
  EXPECT_THAT(evenly_spaced(0, 4), testing::IsEmpty());
}

TEST_F(Encode, ASubsetIsEvenlySpaced) {
  std::vector<Row> rows;
  for (int i = 0; i < 10; ++i) rows.push_back(made_row("q" + std::to_string(i), "a"));
  const Dataset dataset = made_dataset({{"t", rows}});
  const EncodedRows encoded = encode_rows(dataset, Split::kTrain, renderer_, {.max_rows_per_task = 3});
  ASSERT_EQ(encoded.size(), 3);
  EXPECT_EQ(encoded.row(0), 0);
  EXPECT_EQ(encoded.row(1), 3);
  EXPECT_EQ(encoded.row(2), 6);
}

}  // namespace
}  // namespace moelora::data
