// Metrics against cases worked out by hand. tests/eval/oracle_test.cpp compares them with other implementations.
#include "eval/metric.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "core/error.h"
#include "eval/rescore.h"

namespace moelora::eval {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

EvalRow row(std::string gold, std::vector<std::string> choices = {}) {
  return {"r1", "", std::move(gold), std::move(choices)};
}

void expect_error(ErrorKind kind, const ::testing::Matcher<std::string>& text, const std::function<void()>& act) {
  try {
    act();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(std::string(error.what()), text);
  }
}

TEST(MicroF1, CountsItemsOverAllRows) {
  const auto metric = make_metric("micro_f1_set", {});
  // right a; wrong x; missed b: F1 of the row 2/4
  const RowScore first = metric->add(row("a; b"), "x; A");
  EXPECT_DOUBLE_EQ(first.score, 0.5);
  // right c, d; wrong e
  EXPECT_DOUBLE_EQ(metric->add(row("c; d"), "c; d; e").score, 0.8);
  const MetricResult result = metric->result();
  EXPECT_EQ(result.right, 3);
  EXPECT_EQ(result.wrong, 2);
  EXPECT_EQ(result.missed, 1);
  EXPECT_DOUBLE_EQ(result.precision, 3.0 / 5);
  EXPECT_DOUBLE_EQ(result.recall, 3.0 / 4);
  EXPECT_DOUBLE_EQ(result.score, 2.0 / 3);
}

TEST(MicroF1, EmptyGoldAnsweredEmptyIsPerfectAndAnsweredOtherwiseIsWrong) {
  const auto metric = make_metric("micro_f1_triples", {});
  EXPECT_EQ(metric->add(row("none"), "none").score, 1);
  EXPECT_EQ(metric->result().score, 1);
  EXPECT_EQ(metric->add(row("none"), "(a | b | c)").score, 0);
  const RowScore empty = metric->add(row("none"), "");
  EXPECT_EQ(empty.score, 0);
  EXPECT_TRUE(empty.malformed);
  EXPECT_EQ(metric->result().wrong, 2);
  EXPECT_EQ(metric->result().score, 0);
}

TEST(RougeL, OfSignsAloneIsRightWhereTheyAreTheSame) {
  const auto metric = make_metric("rouge_l", {});
  EXPECT_EQ(metric->add(row("+"), "+").score, 1);
  EXPECT_EQ(metric->add(row("+"), "-").score, 0);
  EXPECT_EQ(metric->add(row("+"), "").score, 0);
  EXPECT_EQ(metric->add(row("word"), "+").score, 0);
}

TEST(MicroF1, MalformedLinesAndOffListItemsAreWrongAndCounted) {
  const auto metric = make_metric("micro_f1_pairs", {});
  const RowScore score =
      metric->add(row("fever: present", {"present", "absent"}), "fever: present\nrash: maybe\nnoise\nnoise");
  EXPECT_TRUE(score.malformed);
  EXPECT_TRUE(score.off_list);
  const MetricResult result = metric->result();
  EXPECT_EQ(result.right, 1);
  EXPECT_EQ(result.wrong, 2);
  EXPECT_EQ(result.malformed, 1);
  EXPECT_EQ(result.off_list, 1);
}

TEST(MicroF1, AnEventCountsOnlyWithEveryFieldRight) {
  const auto metric = make_metric("micro_f1_events", {});
  metric->add(row("site: femur; kind: fracture; side: left"), "kind: fracture; side: right; site: femur");
  EXPECT_EQ(metric->result().score, 0);
  metric->add(row("site: femur; kind: fracture"), "kind: fracture; site: femur");
  EXPECT_DOUBLE_EQ(metric->result().score, 0.5);
}

TEST(MicroF1, ReadsPromptCblueRowsByThemselves) {
  const auto metric = make_metric("micro_f1_set", {});
  EXPECT_EQ(metric->add(row("孕32周，前置胎盘", {"孕32周", "前置胎盘", "胎盘血管瘤"}), "前置胎盘，孕32周").score, 1);
  EXPECT_TRUE(metric->add(row("前置胎盘", {"前置胎盘"}), "前置胎盘;").off_list);
}

TEST(MicroF1, UnreadableGoldIsAnErrorThatNamesTheRowAndHidesItsText) {
  const auto metric = make_metric("micro_f1_triples", {});
  expect_error(ErrorKind::kData, AllOf(HasSubstr("row r1"), HasSubstr("triples"), Not(HasSubstr("secret"))),
               [&] { metric->check(row("secret words")); });
  metric->add(row("(a | b | c)\nsecret"), "(a | b | c)");
  EXPECT_EQ(metric->result().gold_unreadable, 1);
  EXPECT_EQ(metric->result().score, 1);
}

TEST(MacroF1, IsTheMeanOverClassesWithOffListAndMalformedAsMisses) {
  MetricOptions options;
  options.labels = {"A", "B", "C"};
  const auto metric = make_metric("macro_f1", options);
  EXPECT_EQ(metric->add(row("A"), "a").score, 1);
  metric->add(row("A"), "B");
  EXPECT_TRUE(metric->add(row("A"), "Z").off_list);
  metric->add(row("B"), "B");
  EXPECT_TRUE(metric->add(row("B"), "").malformed);
  // A: P 1/1, R 1/3, F1 1/2. B: P 1/2, R 1/2, F1 1/2. C is never gold nor predicted: no class.
  const MetricResult result = metric->result();
  EXPECT_DOUBLE_EQ(result.score, 0.5);
  EXPECT_DOUBLE_EQ(result.precision, 0.75);
  EXPECT_DOUBLE_EQ(result.recall, (1.0 / 3 + 0.5) / 2);
  EXPECT_THAT(result.confusion_columns, ElementsAre("A", "B", "(off list)", "(malformed)"));
  EXPECT_THAT(result.confusion, ElementsAre(ElementsAre(1, 1, 1, 0), ElementsAre(0, 1, 0, 1)));
  EXPECT_EQ(result.off_list, 1);
  EXPECT_EQ(result.malformed, 1);
}

TEST(MacroF1, AListedClassPredictedButNeverGoldPullsTheMeanDown) {
  const auto metric = make_metric("macro_f1", {});
  metric->add(row("A", {"A", "C"}), "A");
  metric->add(row("A", {"A", "C"}), "C");
  EXPECT_DOUBLE_EQ(metric->result().score, (2.0 / 3 + 0) / 2);
}

TEST(MacroF1, AnAnswerOffItsRowsListIsAFalsePositiveOfTheClassWhereItIsGoldInAnotherRow) {
  const auto metric = make_metric("macro_f1", {});
  EXPECT_TRUE(metric->add(row("A", {"A", "B"}), "C").off_list);
  metric->add(row("C", {"B", "C"}), "C");
  metric->add(row("A", {"A", "B"}), "Z");
  // f1_score(["A", "C", "A"], ["C", "C", "Z"], labels=["A", "C"], average="macro", zero_division=0): A 0, C 2/3.
  const MetricResult result = metric->result();
  EXPECT_DOUBLE_EQ(result.score, 1.0 / 3);
  EXPECT_EQ(result.off_list, 1);
  EXPECT_THAT(result.confusion_columns, ElementsAre("A", "C", "(off list)", "(malformed)"));
  EXPECT_THAT(result.confusion, ElementsAre(ElementsAre(0, 1, 1, 0), ElementsAre(0, 1, 0, 0)));
}

TEST(MacroF1, ALatinLabelOfAChineseTaskIsOneClass) {
  MetricOptions options;
  options.labels = {"肺炎", "COPD"};
  for (const std::string name : {"macro_f1", "accuracy"}) {
    const auto metric = make_metric(name, options);
    const std::vector<RowScore> rows = {metric->add(row("肺炎"), "肺炎"), metric->add(row("肺炎"), "肺炎"),
                                        metric->add(row("肺炎"), "COPD"), metric->add(row("COPD"), "COPD")};
    // 肺炎: P 2/2, R 2/3, F1 4/5. COPD: P 1/2, R 1/1, F1 2/3.
    const MetricResult result = metric->result();
    EXPECT_DOUBLE_EQ(result.score, name == "accuracy" ? 0.75 : (0.8 + 2.0 / 3) / 2);
    EXPECT_THAT(result.confusion_columns, ElementsAre("肺炎", "COPD", "(off list)", "(malformed)"));
    EXPECT_THAT(result.confusion, ElementsAre(ElementsAre(2, 1, 0, 0), ElementsAre(0, 1, 0, 0)));
    EXPECT_DOUBLE_EQ(rescore(name, rows, std::vector<int64_t>(4, 1)), result.score);
  }
}

TEST(Accuracy, IsTheShareOfRightRowsAndPrecisionThatOfAnsweredOnes) {
  const auto metric = make_metric("accuracy", {});
  const std::vector<std::string> choices = {"yes", "no"};
  metric->add(row("yes", choices), "Yes");
  metric->add(row("no", choices), "yes");
  metric->add(row("no", choices), "perhaps");
  metric->add(row("no", choices), "no\nno");
  const MetricResult result = metric->result();
  EXPECT_DOUBLE_EQ(result.score, 0.25);
  EXPECT_DOUBLE_EQ(result.precision, 0.5);
  EXPECT_EQ(result.off_list, 1);
  EXPECT_EQ(result.malformed, 1);
}

TEST(Accuracy, WithoutAnyListTheGoldLabelsOfAllRowsAreIt) {
  const auto metric = make_metric("accuracy", {});
  metric->add(row("a"), "b");
  metric->add(row("b"), "c");
  const MetricResult result = metric->result();
  EXPECT_EQ(result.off_list, 1);
  EXPECT_EQ(result.classes.size(), 2u);
}

TEST(RougeL, IsTheLongestCommonSubsequenceOfWords) {
  const auto metric = make_metric("rouge_l", {});
  // "police … the gunman" of the ROUGE paper: common subsequence "police the gunman", 3 of 4 words each.
  EXPECT_DOUBLE_EQ(metric->add(row("Police killed the gunman"), "police kill the gunman.").score, 0.75);
  EXPECT_DOUBLE_EQ(metric->add(row("police killed the gunman"), "the gunman kill police").score, 0.5);
  EXPECT_DOUBLE_EQ(metric->result().score, 0.625);
}

TEST(RougeL, CountsChineseByCharacterAndKeepsForeignWordsWhole) {
  const auto metric = make_metric("rouge_l", {});
  // gold 查 CRP 正 常 。: 5 tokens; answer 查 crp 。: 3, all common
  EXPECT_DOUBLE_EQ(metric->add(row("查CRP正常。"), "查crp。").score, 2 * 3.0 / 8);
  MetricOptions words;
  words.unit = TextUnit::kWord;
  EXPECT_EQ(make_metric("rouge_l", words)->add(row("查 CRP 正常"), "查 CRP 正").score, 2.0 / 3);
}

TEST(RougeL, ScoresAPromptCblueReportBySection) {
  const auto metric = make_metric("rouge_l", {});
  // 主诉: 2 of 2 and 2; 既往史: both empty, 1; 建议: missing, 0
  EXPECT_DOUBLE_EQ(metric->add(row("报告如下：\n主诉：咳嗽\n既往史：\n建议：休息"), "主诉：咳嗽\n既往史：").score,
                   2.0 / 3);
}

TEST(RougeL, EmptyAndInvalidAnswersAreMalformed) {
  const auto metric = make_metric("rouge_l", {});
  EXPECT_TRUE(metric->add(row("a b"), " ").malformed);
  const RowScore score = metric->add(row("a b"), "a \xFF b");
  EXPECT_TRUE(score.malformed);
  EXPECT_EQ(score.score, 1);  // the bad byte separates words as punctuation does
  expect_error(ErrorKind::kData, HasSubstr("row r1"), [&] { metric->check(row(" ")); });
}

TEST(RougeL, IsFastOnHugeAnswers) {
  std::string huge;
  for (int i = 0; i < 200'000; ++i) huge += i % 3 == 0 ? "left " : "femur ";
  const auto metric = make_metric("rouge_l", {});
  EXPECT_GT(metric->add(row("fracture of the left femur"), huge).score, 0);
}

TEST(ExactMatch, ComparesTrimmedText) {
  const auto metric = make_metric("exact_match", {});
  EXPECT_EQ(metric->add(row("Acute bronchitis"), " Acute bronchitis\n").score, 1);
  EXPECT_EQ(metric->add(row("Acute bronchitis"), "acute bronchitis").score, 0);
  EXPECT_DOUBLE_EQ(metric->result().score, 0.5);
}

TEST(ChangedWordsF1, ScoresOnlyWhatDiffersFromTheSource) {
  MetricOptions options;
  options.source_prefix = "Parent:";
  const auto metric = make_metric("f1_changed_words", options);
  const std::string source = "Fracture of femur, unspecified";
  EvalRow edit = row("Displaced fracture of left femur");
  edit.prompt = "Parent: " + source;
  // expected: +displaced +left -unspecified
  EXPECT_EQ(metric->add(edit, source).score, 0);
  EXPECT_EQ(metric->add(edit, "displaced fracture of left femur").score, 1);
  // given: +left +open -unspecified: 2 right, 1 wrong, 1 missed
  EXPECT_DOUBLE_EQ(metric->add(edit, "open fracture of left femur").score, 2.0 / 3);
}

TEST(ChangedWordsF1, TakesTheSourceFromAPromptLineOrRefuses) {
  const auto specs = parse_metric_specs("rouge_l, f1_changed_words(source=Parent:; unit=word)", "tasks.report.metric");
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[1].options.unit, TextUnit::kWord);
  const auto metric = make_metric(specs[1].name, specs[1].options);
  EvalRow edit = row("left femur");
  edit.prompt = "Write the title.\nParent: femur\nSide: left";
  EXPECT_EQ(metric->add(edit, "left femur").score, 1);
  edit.prompt = "no such line";
  expect_error(ErrorKind::kData, AllOf(HasSubstr("row r1"), HasSubstr("`Parent:`")), [&] { metric->check(edit); });
}

TEST(ChangedWordsF1, WithoutItsOptionAsksForThatAlone) {
  EvalRow edit = row("left femur");
  edit.prompt = "Parent: femur";
  expect_error(ErrorKind::kData,
               AllOf(HasSubstr("row r1"), HasSubstr("f1_changed_words(source="), Not(HasSubstr("row with a source"))),
               [&] { make_metric("f1_changed_words", {})->check(edit); });
}

TEST(MetricRegistry, EveryNameMakesAMetricThatStartsEmpty) {
  for (const std::string& name : metric_names()) {
    const MetricResult result = make_metric(name, {})->result();
    EXPECT_EQ(result.metric, name);
    EXPECT_EQ(result.rows, 0);
    EXPECT_EQ(result.score, 0);
  }
}

TEST(MetricRegistry, UnknownNamesAndOptionsAreNamedWithTheNearest) {
  expect_error(ErrorKind::kConfig, AllOf(HasSubstr("run.yaml:7"), HasSubstr("`rouge_l`")),
               [] { make_metric("rougel", {}, "run.yaml:7"); });
  expect_error(ErrorKind::kConfig, HasSubstr("`macro_f1`"), [] { parse_metric_specs("accuracy, macrof1", "x"); });
  expect_error(ErrorKind::kConfig, HasSubstr("`unit`"), [] { parse_metric_specs("rouge_l(units=word)", "x"); });
  expect_error(ErrorKind::kConfig, HasSubstr("`word`"), [] { parse_metric_specs("rouge_l(unit=words)", "x"); });
  expect_error(ErrorKind::kConfig, HasSubstr("`)`"), [] { parse_metric_specs("rouge_l(unit=word", "x"); });
  expect_error(ErrorKind::kConfig, HasSubstr("no metric"), [] { parse_metric_specs(" , ", "x"); });
}

TEST(MetricRegistry, EveryPaperTaskTypeHasItsMetric) {
  EXPECT_EQ(default_metric("spo_generation", ""), "micro_f1_triples");
  EXPECT_EQ(default_metric("normalization", ""), "micro_f1_set");
  EXPECT_EQ(default_metric("event_extraction", ""), "micro_f1_events");
  EXPECT_EQ(default_metric("attr_cls", ""), "micro_f1_pairs");
  EXPECT_EQ(default_metric("cls", ""), "macro_f1");
  EXPECT_EQ(default_metric("report_generation", ""), "rouge_l");
  EXPECT_EQ(default_metric("response_generation", ""), "rouge_l");
  expect_error(ErrorKind::kConfig,
               AllOf(HasSubstr("tasks.x"), HasSubstr("`event_extraction`"), HasSubstr("cls, matching")),
               [] { default_metric("event_extractoin", "tasks.x"); });
}

TEST(Rescore, GivesTheMetricsOwnScoreOfTheSameRowsAndOfRepeatedOnes) {
  const std::vector<std::string> golds = {"red", "green", "red", "blue; red", "green"};
  const std::vector<std::string> answers = {"red", "red", "", "blue", "green"};
  for (const std::string name : {"micro_f1_set", "accuracy", "macro_f1", "rouge_l", "exact_match"}) {
    const std::unique_ptr<Metric> once = make_metric(name, {.labels = {"red", "green", "blue; red"}});
    const std::unique_ptr<Metric> repeated = make_metric(name, {.labels = {"red", "green", "blue; red"}});
    const std::vector<int64_t> counts = {2, 0, 1, 3, 1};
    std::vector<RowScore> rows;
    for (size_t i = 0; i < golds.size(); ++i) {
      const EvalRow row{.id = std::to_string(i), .gold = golds[i]};
      rows.push_back(once->add(row, answers[i]));
      for (int64_t k = 0; k < counts[i]; ++k) repeated->add(row, answers[i]);
    }
    EXPECT_NEAR(rescore(name, rows, std::vector<int64_t>(5, 1)), once->result().score, 1e-12) << name;
    EXPECT_NEAR(rescore(name, rows, counts), repeated->result().score, 1e-12) << name;
    EXPECT_EQ(rescore(name, rows, std::vector<int64_t>(5, 0)), 0) << name;
  }
  EXPECT_THROW(rescore("macro_f2", {}, {}), Error);
}

TEST(Rescore, IsTheOwnScoreOfEveryMetricWhateverItIsMadeFrom) {
  // Of each kind an answer with two members, one with the first of them alone, and one with another member.
  const std::map<AnswerKind, std::vector<std::string>> answers = {
      {AnswerKind::kLabel, {"red", "green", "blue"}},
      {AnswerKind::kSet, {"a; b", "a", "c"}},
      {AnswerKind::kTriples, {"(a | r | b)\n(c | r | d)", "(a | r | b)", "(e | r | f)"}},
      {AnswerKind::kEvents, {"site: a\nsite: b", "site: a", "site: c"}},
      {AnswerKind::kPairs, {"a: yes\nb: no", "a: yes", "c: yes"}},
      {AnswerKind::kEntities, {"drug: a; b", "drug: a", "drug: c"}},
      {AnswerKind::kText, {"a b", "a", "c"}},
  };
  for (const std::string& name : metric_names()) {
    const MetricFacts facts = metric_facts(name);
    const std::vector<std::string>& of = answers.at(facts.answers);
    const auto metric = make_metric(name, {.labels = {"red", "green", "blue"}, .source_prefix = "From:"});
    std::vector<RowScore> rows;
    double mean = 0;
    for (const auto& [gold, answer] : {std::pair(0, 1), {1, 2}, {0, 0}, {1, 1}}) {
      const EvalRow row{.id = "r1", .prompt = "From: x", .gold = of[gold]};
      rows.push_back(metric->add(row, of[answer]));
      mean += rows.back().score / 4;
    }
    const double own = metric->result().score;
    EXPECT_NEAR(rescore(name, rows, std::vector<int64_t>(4, 1)), own, 1e-12) << name;
    if (facts.score != ScoreFrom::kRows) {
      EXPECT_GT(std::abs(mean - own), 0.01) << name << ": else the rows' mean would do as well";
    }
  }
}

TEST(Rescore, CountsAnAnswerOffItsRowsListWhereItIsAnotherRowsGold) {
  const std::vector<EvalRow> rows = {{.id = "0", .gold = "red", .choices = {"red", "green"}},
                                     {.id = "1", .gold = "blue", .choices = {"blue", "red"}}};
  for (const std::vector<int64_t>& counts : {std::vector<int64_t>{1, 1}, {2, 1}, {1, 0}}) {
    const std::unique_ptr<Metric> metric = make_metric("macro_f1", {});
    std::vector<RowScore> scores;
    for (size_t i = 0; i < rows.size(); ++i) {
      scores.push_back(make_metric("macro_f1", {})->add(rows[i], "blue"));
      for (int64_t k = 0; k < counts[i]; ++k) metric->add(rows[i], "blue");
    }
    EXPECT_NEAR(rescore("macro_f1", scores, counts), metric->result().score, 1e-12);
  }
}

}  // namespace
}  // namespace moelora::eval
