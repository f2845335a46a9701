// A small model's evaluation from rows to report, against answers generated without engine, cache and batch.
#include "eval/evaluator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "core/error.h"
#include "eval/baselines.h"
#include "generate/made_models.h"
#include "support/fixtures_dir.h"

namespace moelora::eval {
namespace {

using data::Split;
using generate::moelora_model;

constexpr int64_t kMaxNewTokens = 8;

data::Row made_row(const std::string& prompt, const std::string& answer, int64_t line) {
  data::Row row;
  row.id = "r" + std::to_string(line);
  row.messages = {{"user", prompt}};
  row.answer = answer;
  row.task_type = "response_generation";
  row.file = std::make_shared<std::string>("made.jsonl");
  row.line = line;
  return row;
}

/// The same ten prompts for each task (other than `d`, which has none).
data::Dataset made_dataset() {
  data::Dataset dataset;
  dataset.config.max_length = 128;
  for (const char* name : {"a", "b", "c"}) {
    data::Task task{.name = name};
    task.settings.metric = "exact_match, rouge_l";
    for (int64_t i = 0; i < 10; ++i) {
      const std::string prompt = "note " + std::to_string(i * i) + std::string(static_cast<size_t>(i), '.');
      task.rows[static_cast<size_t>(Split::kTest)].push_back(made_row(prompt, "never written", i + 1));
      task.rows[static_cast<size_t>(Split::kTrain)].push_back(made_row(prompt, i < 6 ? "one" : "two", i + 1));
    }
    dataset.tasks.push_back(std::move(task));
  }
  dataset.tasks.push_back({.name = "d"});
  return dataset;
}

std::vector<data::Row>& test_rows(data::Dataset& dataset, size_t task) {
  return dataset.tasks[task].rows[static_cast<size_t>(Split::kTest)];
}

class Evaluate : public ::testing::Test {
 protected:
  static const adapters::Model& model() {
    static const adapters::Model model = moelora_model("qwen3");
    return model;
  }
  static const data::PromptRenderer& renderer() {
    static const data::PromptRenderer renderer(text::load_text_assets(testing::fixtures_dir() + "/qwen3/f32"), {});
    return renderer;
  }
  static EvaluateOptions options() { return {.eval = {.max_new_tokens = kMaxNewTokens, .batch_size = 4}}; }
  static Evaluation run(const data::Dataset& dataset, const EvaluateOptions& options = Evaluate::options()) {
    return evaluate(model(), dataset, Split::kTest, renderer(), options);
  }

  /// What the model answers to a row, found without anything under test.
  static std::string answer_of(const data::Row& row, int64_t task, int64_t max_new_tokens = kMaxNewTokens) {
    std::vector<int32_t> tokens = generate::continue_without_cache(
        model(), {.task = task, .prompt = renderer().prompt_ids(row.messages, ""), .max_new_tokens = max_new_tokens});
    const auto stop = std::ranges::find_if(tokens, [](int32_t token) {
      return std::ranges::find(renderer().stop_ids(), token) != renderer().stop_ids().end();
    });
    tokens.erase(stop, tokens.end());
    return std::string(trim(renderer().tokenizer().decode(tokens, {.skip_special_tokens = true})));
  }

  static void expect_error(ErrorKind kind, const std::string& part, const std::function<void()>& action) {
    try {
      action();
      FAIL() << "nothing was thrown, expected: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    } catch (const ErrorList& list) {
      EXPECT_EQ(list.errors()[0].kind(), kind) << list.what();
      EXPECT_NE(std::string(list.what()).find(part), std::string::npos) << list.what();
    }
  }
};

TEST_F(Evaluate, EveryRowOfEveryTaskIsAnsweredWithItsOwnTasksAdapter) {
  data::Dataset dataset = made_dataset();
  const Evaluation evaluation = run(dataset);
  ASSERT_EQ(evaluation.report.tasks.size(), 3u) << "a task without test rows takes no part";
  int64_t differ = 0, prompt_tokens = 0;
  for (size_t task = 0; task < 3; ++task) {
    const TaskReport& report = evaluation.report.tasks[task];
    EXPECT_EQ(report.task, dataset.tasks[task].name);
    ASSERT_EQ(report.rows.size(), 10u);
    for (size_t i = 0; i < 10; ++i) {
      const data::Row& row = test_rows(dataset, task)[i];
      EXPECT_EQ(report.rows[i].prediction, answer_of(row, static_cast<int64_t>(task)));
      EXPECT_EQ(report.rows[i].id, row.id);
      EXPECT_EQ(report.rows[i].gold, row.answer);
      EXPECT_EQ(report.rows[i].prompt_tokens, std::ssize(renderer().prompt_ids(row.messages, "")));
      EXPECT_FALSE(report.rows[i].prompt.has_value());
      prompt_tokens += report.rows[i].prompt_tokens;
      differ += report.rows[i].prediction != evaluation.report.tasks[0].rows[i].prediction;
    }
  }
  EXPECT_GT(differ, 0) << "else rows served with another's adapter would not be seen";
  EXPECT_EQ(evaluation.prompt_tokens + evaluation.cached_tokens, prompt_tokens);
  EXPECT_GT(evaluation.new_tokens, 0);
  EXPECT_GT(evaluation.seconds, 0);
}

TEST_F(Evaluate, ScoresAreTheMetricsOverTheAnswers) {
  data::Dataset dataset = made_dataset();
  // Three of ten gold answers of `a` and all of `c` are what the model writes.
  for (size_t i = 0; i < 10; ++i) {
    if (i < 3) test_rows(dataset, 0)[i].answer = answer_of(test_rows(dataset, 0)[i], 0) + " ";
    test_rows(dataset, 2)[i].answer = answer_of(test_rows(dataset, 2)[i], 2);
    ASSERT_NE(trim(test_rows(dataset, 2)[i].answer), "") << "an empty gold answer is no text";
  }
  const Report report = run(dataset).report;
  const std::map<std::string, double> expected = {{"a", 0.3}, {"b", 0.0}, {"c", 1.0}};
  EXPECT_EQ(task_scores(report), expected);
  ASSERT_EQ(report.tasks[0].further.size(), 1u);
  EXPECT_EQ(report.tasks[0].further[0].metric, "rouge_l");
  EXPECT_EQ(report.tasks[2].further[0].score, 1.0);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(report.tasks[0].rows[i].score.score, i < 3 ? 1.0 : 0.0);
}

TEST_F(Evaluate, WhatPromptsOfATaskBeginWithIsReadOnce) {
  data::Dataset dataset = made_dataset();
  for (size_t task = 0; task < 3; ++task) {
    for (data::Row& row : test_rows(dataset, task)) {
      row.messages[0].content = "the same instructions for every row of this task: " + row.messages[0].content;
    }
  }
  const Evaluation evaluation = run(dataset);
  EXPECT_GE(evaluation.cached_tokens, 3 * 9 * 32) << "nine of ten rows find at least two blocks";
  for (size_t task = 0; task < 3; ++task) {
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(evaluation.report.tasks[task].rows[i].prediction,
                answer_of(test_rows(dataset, task)[i], static_cast<int64_t>(task)));
    }
  }
}

TEST_F(Evaluate, OnlyTheTasksAndAsManyRowsAsAsked) {
  data::Dataset dataset = made_dataset();
  EvaluateOptions asked = options();
  asked.tasks = {"b"};
  asked.eval.rows = 4;
  asked.keep_prompts = true;
  std::vector<int64_t> done;
  asked.on_row = [&](int64_t count, int64_t rows) {
    EXPECT_EQ(rows, 4);
    done.push_back(count);
  };
  const Report report = run(dataset, asked).report;
  ASSERT_EQ(report.tasks.size(), 1u);
  std::vector<std::string> ids;
  for (const RowPrediction& row : report.tasks[0].rows) ids.push_back(row.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"r1", "r3", "r6", "r8"}));
  EXPECT_EQ(report.tasks[0].rows[1].prompt, renderer().prompt_text(test_rows(dataset, 1)[2].messages, ""));
  EXPECT_EQ(done, (std::vector<int64_t>{1, 2, 3, 4}));
}

TEST_F(Evaluate, ATaskHasItsOwnLimitOfNewTokens) {
  data::Dataset dataset = made_dataset();
  dataset.tasks[1].settings.max_new_tokens = 2;
  const Report report = run(dataset).report;
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(report.tasks[1].rows[i].prediction, answer_of(test_rows(dataset, 1)[i], 1, 2));
    EXPECT_EQ(report.tasks[2].rows[i].prediction, answer_of(test_rows(dataset, 2)[i], 2));
  }
}

TEST_F(Evaluate, BaselinesStandBesideTheScore) {
  data::Dataset dataset = made_dataset();
  for (size_t i = 0; i < 10; ++i) test_rows(dataset, 1)[i].answer = i < 7 ? "one" : "two";
  dataset.tasks[1].settings.metric = "accuracy";
  EvaluateOptions asked = options();
  asked.baselines = true;
  const Report report = run(dataset, asked).report;
  std::map<std::string, double> comparisons;
  for (const Comparison& one : report.tasks[1].comparisons) comparisons[one.name] = one.score;
  EXPECT_EQ(comparisons.at("majority"), 0.7);  // "one", of 6 of 10 training rows
  EXPECT_EQ(comparisons.size(), baselines_for_metric("accuracy").size());
  EXPECT_TRUE(run(dataset).report.tasks[1].comparisons.empty());
}

TEST_F(Evaluate, LabelsAreTheConfiguredOnesElseThoseOfTheTrainingRows) {
  data::Dataset dataset = made_dataset();
  const std::string written = answer_of(test_rows(dataset, 0)[0], 0);
  ASSERT_EQ(written.find('\n'), std::string::npos);
  for (data::Row& row : test_rows(dataset, 0)) row.answer = "one";
  dataset.tasks[0].settings.metric = "accuracy";
  EXPECT_TRUE(run(dataset).report.tasks[0].rows[0].score.off_list);
  dataset.tasks[0].settings.labels = {"one", written};
  const RowScore listed = run(dataset).report.tasks[0].rows[0].score;
  EXPECT_FALSE(listed.off_list);
  EXPECT_EQ(listed.score, 0);
}

TEST_F(Evaluate, DroppedPromptsCountAsWrongAndCutOnesAreAnswered) {
  data::Dataset dataset = made_dataset();
  for (const size_t task : {size_t{0}, size_t{1}})
    test_rows(dataset, task)[4].messages[0].content = std::string(200, 'x');
  expect_error(ErrorKind::kData, "made.jsonl:5", [&] { run(dataset); });
  dataset.tasks[0].settings.overflow = config::Overflow::kDrop;
  dataset.tasks[1].settings.overflow = config::Overflow::kCutHead;
  const Report report = run(dataset).report;
  ASSERT_EQ(report.tasks[0].rows.size(), 10u);
  EXPECT_EQ(report.tasks[0].rows[4].prediction, "");
  EXPECT_EQ(report.tasks[0].rows[4].prompt_tokens, 0);
  EXPECT_EQ(report.tasks[0].rows[4].score.score, 0);
  EXPECT_EQ(report.tasks[0].result.rows, 10);
  int64_t with_length = 0;
  for (const LengthBin& bin : score_by_length(report.tasks[0].rows)) with_length += bin.rows;
  EXPECT_EQ(with_length, 9) << "the dropped prompt isn't a short one";
  EXPECT_EQ(report.tasks[1].rows[4].prompt_tokens, 128 - kMaxNewTokens) << "as much as the context leaves";
  const std::vector<std::pair<std::string, std::string>> facts = {
      {"split", "test"}, {"prompts cut to fit", "1"}, {"prompts dropped, too long", "1"}};
  EXPECT_EQ(report.facts, facts);
}

TEST_F(Evaluate, WhatCantBeEvaluatedIsRefusedBeforeAnythingIsGenerated) {
  const data::Dataset good = made_dataset();
  const auto refused = [&](ErrorKind kind, const std::string& part, const auto& spoil) {
    data::Dataset dataset = good;
    EvaluateOptions asked = options();
    asked.on_row = [](int64_t, int64_t) { FAIL() << "a row was answered"; };
    spoil(dataset, asked);
    expect_error(kind, part, [&] { run(dataset, asked); });
  };
  using Data = data::Dataset;
  using Asked = EvaluateOptions;
  refused(ErrorKind::kUsage, "`bb`", [](Data&, Asked& asked) { asked.tasks = {"bb"}; });
  refused(ErrorKind::kData, "task d", [](Data&, Asked& asked) { asked.tasks = {"a", "d"}; });
  refused(ErrorKind::kData, "no test rows", [](Data& dataset, Asked&) { dataset.tasks.resize(0); });
  refused(ErrorKind::kUsage, "strange", [](Data& dataset, Asked&) { dataset.tasks[2].name = "strange"; });
  refused(ErrorKind::kConfig, "tasks.c.metric",
          [](Data& dataset, Asked&) { dataset.tasks[2].settings.metric = "bleu"; });
  refused(ErrorKind::kConfig, "tasks.c.metric", [](Data& dataset, Asked&) {
    dataset.tasks[2].settings.metric.reset();
    for (auto& rows : dataset.tasks[2].rows) {
      for (data::Row& row : rows) row.task_type = "";
    }
  });
  refused(ErrorKind::kData, "made.jsonl:8", [](Data& dataset, Asked&) {
    dataset.tasks[2].settings.metric = "accuracy";
    test_rows(dataset, 2)[7].answer = "two\nlines";
  });
  refused(ErrorKind::kLimit, "task a", [](Data&, Asked& asked) { asked.eval.max_new_tokens = 128; });
}

TEST_F(Evaluate, ATaskWithoutTrainingRowsHasNoBaselines) {
  data::Dataset dataset = made_dataset();
  EvaluateOptions asked = options();
  asked.baselines = true;
  asked.tasks = {"c"};
  EXPECT_FALSE(run(dataset, asked).report.tasks.at(0).comparisons.empty());
  dataset.tasks[2].rows[static_cast<size_t>(Split::kTrain)].clear();
  EXPECT_TRUE(run(dataset, asked).report.tasks.at(0).comparisons.empty());
}

}  // namespace
}  // namespace moelora::eval
