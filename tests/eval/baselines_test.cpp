#include "eval/baselines.h"

#include <gmock/gmock.h>

#include <map>

#include "core/error.h"

namespace moelora::eval {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

EvalRow row(std::string prompt, std::string gold, std::vector<std::string> choices = {}) {
  return {"r", std::move(prompt), std::move(gold), std::move(choices)};
}

TEST(Baselines, MajorityAnswersTheMostFrequentGoldAndBreaksTiesByByteOrder) {
  const std::vector<EvalRow> train = {row("", "b"), row("", "c"), row("", "a "), row("", "b"), row("", "a")};
  const std::vector<EvalRow> test(3);
  EXPECT_THAT(baseline_answers("majority", train, test), ElementsAre("a", "a", "a"));
}

TEST(Baselines, RandomIsUniformOverTheChoicesAndAFunctionOfSeedAndRow) {
  const std::vector<EvalRow> test(3000, row("", "", {"a", "b", "c"}));
  const auto answers = baseline_answers("random", {}, test);
  std::map<std::string, int> counts;
  for (const std::string& answer : answers) counts[answer] += 1;
  for (const auto& [answer, count] : counts) EXPECT_NEAR(count, 1000, 130);  // five standard deviations
  EXPECT_EQ(counts.size(), 3u);
  EXPECT_EQ(answers, baseline_answers("random", {}, test));
  BaselineOptions other;
  other.seed = 43;
  EXPECT_NE(answers, baseline_answers("random", {}, test, other));
  const std::vector<EvalRow> few(test.begin(), test.begin() + 10);
  EXPECT_EQ(baseline_answers("random", {}, few), std::vector<std::string>(answers.begin(), answers.begin() + 10));
}

TEST(Baselines, RandomWithoutChoicesTakesATrainingAnswer) {
  const std::vector<EvalRow> train = {row("", "x")};
  const std::vector<EvalRow> test(4);
  EXPECT_THAT(baseline_answers("random", train, test), Each("x"));
}

TEST(Baselines, CopyTakesThePromptLineOfTheSourceElseTheLongestLine) {
  const std::vector<EvalRow> test = {row("Parent: femur\nA longer line than that", ""),
                                     row("short\nthe longest line\nshort", "")};
  BaselineOptions options;
  options.source_prefix = "Parent:";
  EXPECT_THAT(baseline_answers("copy", {}, test, options), ElementsAre("femur", "the longest line"));
  EXPECT_THAT(baseline_answers("copy", {}, test), ElementsAre("A longer line than that", "the longest line"));
}

TEST(Baselines, BayesPicksTheClassWhoseWordsThePromptHas) {
  const std::vector<EvalRow> train = {row("itchy rash", "skin"), row("itchy scalp", "skin"),
                                      row("blurred vision", "eye")};
  const std::vector<EvalRow> test = {row("blurred", ""), row("itchy", ""), row("nothing known", ""),
                                     row("blurred", "", {"skin", "ear"})};
  EXPECT_THAT(baseline_answers("bayes", train, test), ElementsAre("eye", "skin", "skin", "skin"));
}

TEST(Baselines, MissingTrainingRowsAndUnknownNamesAreErrors) {
  const std::vector<EvalRow> test(1);
  for (const char* name : {"majority", "random", "bayes"})
    EXPECT_THROW(baseline_answers(name, {}, test), Error) << name;
  EXPECT_THROW(baseline_answers("naive", test, test), Error);
}

TEST(Baselines, BayesIsForLabelsAndCopyForText) {
  for (const char* metric : {"accuracy", "macro_f1"})
    EXPECT_THAT(baselines_for_metric(metric), ElementsAre("majority", "random", "bayes")) << metric;
  for (const char* metric : {"rouge_l", "exact_match", "f1_changed_words"})
    EXPECT_THAT(baselines_for_metric(metric), ElementsAre("majority", "random", "copy")) << metric;
  for (const char* metric : {"micro_f1_set", "micro_f1_entities"})
    EXPECT_THAT(baselines_for_metric(metric), ElementsAre("majority", "random")) << metric;
  EXPECT_THROW(baselines_for_metric("macro_f2"), Error);
}

TEST(Baselines, EachMetricNamesOnlyBaselinesThatExist) {
  for (const std::string& metric : metric_names()) {
    for (const std::string& name : baselines_for_metric(metric)) {
      EXPECT_THAT(baseline_names(), ::testing::Contains(name));
    }
  }
}

}  // namespace
}  // namespace moelora::eval
