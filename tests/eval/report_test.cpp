#include "eval/report.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/error.h"

namespace moelora::eval {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

RowPrediction prediction(std::string id, int64_t tokens, double score, bool malformed = false) {
  return {std::move(id), "", tokens, "GOLDTEXT <b>", "ANSWERTEXT \xFF&", {score, malformed, false}, "PROMPTTEXT"};
}

Report sample() {
  MetricOptions options;
  options.labels = {"ear", "eye"};
  const auto metric = make_metric("macro_f1", options);
  metric->add({"1", "", "ear", {}}, "ear");
  metric->add({"2", "", "ear", {}}, "eye");
  metric->add({"3", "", "eye", {}}, "nose");
  TaskReport chapter{"chapter", metric->result(), {}, {{"majority", 0.4}, {"bayes", 0.5}}, {}};
  chapter.rows = {prediction("1", 10, 1), prediction("2", 31, 0), prediction("3", 40, 0, true),
                  prediction("4", 64, 0.25)};
  const auto rouge = make_metric("rouge_l", {});
  rouge->add({"1", "", "a b", {}}, "a b");
  TaskReport report{"诊疗报告", rouge->result(), {make_metric("exact_match", {})->result()}, {{"majority", 0.2}}, {}};
  report.rows = {prediction("5", 100, 1)};
  return {"Demo <test>", "moelora", {{"base", "tiny & small"}}, {chapter, report}};
}

std::string read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Report, BinsRowsByPromptLength) {
  const auto bins = score_by_length(sample().tasks[0].rows);
  ASSERT_EQ(bins.size(), 3u);
  EXPECT_EQ(bins[0].from, 0);
  EXPECT_EQ(bins[0].to, 32);
  EXPECT_EQ(bins[0].rows, 2);
  EXPECT_DOUBLE_EQ(bins[0].mean_score, 0.5);
  EXPECT_EQ(bins[2].from, 64);
  EXPECT_DOUBLE_EQ(bins[2].mean_score, 0.25);
}

TEST(Report, RowsWhosePromptWasDroppedHaveNoLength) {
  const auto bins = score_by_length(std::vector{prediction("1", 0, 0, true), prediction("2", 31, 1)});
  ASSERT_EQ(bins.size(), 1u);
  EXPECT_EQ(bins[0].rows, 1);
  EXPECT_EQ(bins[0].mean_score, 1);
  EXPECT_TRUE(score_by_length(std::vector{prediction("1", 0, 0, true)}).empty());
}

TEST(Report, WorstRowsAreMalformedFirstAndNeverPerfect) {
  const Report report = sample();
  std::vector<std::string> ids;
  for (const RowPrediction* row : worst_rows(report.tasks[0].rows, 10)) ids.push_back(row->id);
  EXPECT_THAT(ids, ElementsAre("3", "2", "4"));
  EXPECT_EQ(worst_rows(report.tasks[0].rows, 1).size(), 1u);
}

TEST(Report, MeansNeedTheComparisonInEveryTask) {
  const Report report = sample();
  EXPECT_DOUBLE_EQ(mean_score(report), (report.tasks[0].result.score + 1) / 2);
  EXPECT_DOUBLE_EQ(*mean_comparison(report, "majority"), 0.3);
  EXPECT_FALSE(mean_comparison(report, "bayes"));
}

TEST(Report, TableIsAlignedAlsoUnderWideCharacters) {
  EXPECT_EQ(report_table(sample()),
            "task      metric       majority  bayes  moelora      P      R  rows  malformed  off-list\n"
            "chapter   macro_f1        0.400  0.500    0.333  0.500  0.250     3          0         1\n"
            "诊疗报告  rouge_l         0.200      -    1.000  1.000  1.000     1          0         0\n"
            "          exact_match                     0.000  0.000  0.000                0         0\n"
            "mean                      0.300      -    0.667\n");
}

TEST(Report, JsonHoldsScoresClassesAndConfusionButNoRowText) {
  const auto json = report_json(sample());
  EXPECT_EQ(json["tasks"][0]["classes"][0]["label"], "ear");
  EXPECT_EQ(json["tasks"][0]["confusion"]["rows"][0][1], 1);
  EXPECT_EQ(json["tasks"][0]["comparisons"]["bayes"], 0.5);
  EXPECT_EQ(json["tasks"][1]["further"][0]["metric"], "exact_match");
  EXPECT_EQ(json["tasks"][0]["worst_rows"][0]["id"], "3");
  EXPECT_EQ(json["mean_comparisons"].size(), 1u);
  EXPECT_THAT(json.dump(),
              AllOf(Not(HasSubstr("GOLDTEXT")), Not(HasSubstr("ANSWERTEXT")), Not(HasSubstr("PROMPTTEXT"))));
}

TEST(Report, HtmlLoadsNothingEscapesEverythingAndShowsTextOnlyWhenAsked) {
  const std::string hidden = report_html(sample());
  EXPECT_THAT(hidden, AllOf(Not(HasSubstr("GOLDTEXT")), Not(HasSubstr("ANSWERTEXT")), Not(HasSubstr("PROMPTTEXT"))));
  EXPECT_THAT(hidden, AllOf(HasSubstr("Demo &lt;test&gt;"), HasSubstr("tiny &amp; small"), HasSubstr("(off list)")));
  EXPECT_THAT(hidden, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("http:")), Not(HasSubstr("https:")),
                            Not(HasSubstr(" src="))));
  HtmlOptions options;
  options.show_text = true;
  EXPECT_THAT(
      report_html(sample(), options),
      AllOf(HasSubstr("GOLDTEXT &lt;b&gt;"), HasSubstr("ANSWERTEXT \xEF\xBF\xBD&amp;"), HasSubstr("PROMPTTEXT")));
}

TEST(Report, IsWrittenOnceWithPredictionsForTheOwnerOnly) {
  const auto directory = std::filesystem::path(::testing::TempDir()) / "moelora_report_test" / "eval";
  std::filesystem::remove_all(directory.parent_path());
  const auto mode = [&](const char* name) {
    struct stat status {};
    EXPECT_EQ(stat((directory / name).c_str(), &status), 0) << name;
    return status.st_mode & 0777;
  };
  write_report(sample(), directory);
  EXPECT_EQ(mode("predictions.jsonl"), 0600u);
  EXPECT_EQ(read(directory / "table.txt"), report_table(sample()));
  std::istringstream lines(read(directory / "predictions.jsonl"));
  std::string line;
  int64_t rows = 0;
  while (std::getline(lines, line)) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["prompt"], "PROMPTTEXT");
    EXPECT_EQ(json["gold"], "GOLDTEXT <b>");
    rows += 1;
  }
  EXPECT_EQ(rows, 5);
  EXPECT_THROW(write_report(sample(), directory), Error);

  std::filesystem::remove_all(directory);
  HtmlOptions options;
  options.show_text = true;
  write_report(sample(), directory, options);
  EXPECT_EQ(mode("report.html"), 0600u);
  std::filesystem::remove_all(directory.parent_path());
}

}  // namespace
}  // namespace moelora::eval
