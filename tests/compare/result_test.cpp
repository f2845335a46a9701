// A result comes back from its file with what a bootstrap needs, and pages hold together.
#include "compare/result.h"

#include <gmock/gmock.h>

#include <map>

#include "compare/report.h"
#include "core/error.h"
#include "eval/rescore.h"

namespace moelora::compare {
namespace {

Result made() {
  Result result{.key = "k",
                .variant = "moelora <&>",
                .learning_rate = "1e-4",
                .seed = 3,
                .identity = {{"code", "c"}},
                .parameters = 12,
                .steps = 4,
                .best_step = 2,
                .dev = 0.25,
                .train_seconds = 1.5};
  result.train_curve = {{1, 2.0}, {2, 1.0}};
  result.dev_curve = {{2, 1.5}};
  result.task_dev_curves = {{"items", {{2, 1.25}, {4, 1.0}}}, {"text", {{2, 1.75}, {4, 2.0}}}};
  result.gates = {{"layers.0.q_proj", {{0.25F, 0.75F}, {0.5F, 0.5F}}}, {"layers.1.q_proj", {{1, 0}, {0.375F, 0.625F}}}};
  result.gate_tasks = {"items", "labels"};
  result.tasks.push_back({.task = "items",
                          .metric = "micro_f1_set",
                          .score = 0.5,
                          .rows = {{.right = 1, .wrong = 1, .missed = 1}, {}},
                          .groups = {0, 1}});
  result.tasks.push_back({.task = "labels",
                          .metric = "macro_f1",
                          .score = 1.0 / 3,
                          .rows = {{.score = 1, .gold = "x", .answered = "x", .listed = true},
                                   {.gold = "y", .answered = "x"},
                                   {.gold = "y"}},
                          .groups = {0, 0, 1}});
  result.tasks.push_back({.task = "text",
                          .metric = "rouge_l",
                          .score = 0.3,
                          .rows = {{.score = 0.125}, {.score = 0.475}},
                          .groups = {0, 1}});
  return result;
}

TEST(Result, ComesBackFromItsFile) {
  const Result result = made();
  const Result back = result_from(nlohmann::json::parse(to_json(result).dump()), "file");
  EXPECT_EQ(to_json(back), to_json(result));
  for (size_t t = 0; t < result.tasks.size(); ++t) {
    const std::vector<int64_t> once(result.tasks[t].rows.size(), 1);
    EXPECT_DOUBLE_EQ(eval::rescore(back.tasks[t].metric, back.tasks[t].rows, once),
                     eval::rescore(result.tasks[t].metric, result.tasks[t].rows, once));
  }
}

TEST(Result, OfEveryMetricComesBackWithItsScore) {
  const std::map<std::string, std::string> answers = {
      {"micro_f1_set", "a; b"},
      {"micro_f1_triples", "(a | b | c)"},
      {"micro_f1_events", "a: b"},
      {"micro_f1_pairs", "a: b"},
      {"micro_f1_entities", "a: b"},
      {"accuracy", "a"},
      {"macro_f1", "a"},
      {"rouge_l", "a b"},
      {"exact_match", "a b"},
      {"f1_changed_words", "a b"},
  };
  for (const std::string& name : eval::metric_names()) {
    const auto metric = eval::make_metric(name, {.labels = {"a", "c"}, .source_prefix = "From:"});
    TaskResult task{.task = "t", .metric = name};
    for (const std::string& answer : {answers.at(name), std::string("c"), answers.at(name)}) {
      task.rows.push_back(metric->add({.id = "1", .prompt = "From: s", .gold = answers.at(name)}, answer));
      task.groups.push_back(std::ssize(task.groups));
    }
    task.score = metric->result().score;
    ASSERT_GT(task.score, 0) << name;
    ASSERT_LT(task.score, 1) << name;
    const Result back = result_from(nlohmann::json::parse(to_json(Result{.key = "k", .tasks = {task}}).dump()), "file");
    const std::vector<int64_t> once(task.rows.size(), 1);
    EXPECT_NEAR(eval::rescore(name, back.tasks[0].rows, once), task.score, 1e-12) << name;
  }
}

TEST(Result, ThatDivergedSaysSoAndOthersDoNotMentionIt) {
  EXPECT_FALSE(to_json(made()).contains("diverged"));
  const Result diverged{.key = "k", .diverged = "step 3, task `items`: the loss is not finite"};
  const Result back = result_from(nlohmann::json::parse(to_json(diverged).dump()), "file");
  EXPECT_EQ(back.diverged, diverged.diverged);
  EXPECT_FALSE(back.dev.has_value());
}

TEST(Result, RefusesWhatIsNone) {
  nlohmann::json cut = nlohmann::json::parse(to_json(made()).dump());
  cut["tasks"]["text"]["groups"] = {0};
  for (const nlohmann::json& wrong : {nlohmann::json::object(), cut}) {
    try {
      result_from(wrong, "some.json");
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("some.json"));
    }
  }
}

TEST(Report, PagesNeedNoNetworkAndEscapeNames) {
  Comparison comparison{
      .spec = {.reference = "moelora", .seeds = {3}, .learning_rates = {"1e-4", "1e-3"}, .resamples = 100}};
  comparison.variants.push_back({.variant = {.name = "moelora <&>", .method = "moelora", .reference = true},
                                 .trials = {{"1e-4", 0.25}, {.learning_rate = "1e-3", .diverged = true}},
                                 .learning_rate = "1e-4",
                                 .at_edge = true,
                                 .seeds = {made()}});
  comparison.variants.push_back(
      {.variant = {.name = "lora", .method = "lora"}, .learning_rate = "1e-4", .seeds = {made()}});
  comparison.searches.push_back(
      {.seed = 3, .learning_rates = {"1e-4", "1e-3"}, .variants = {comparison.variants[0], comparison.variants[1]}});
  comparison.diverged.push_back({.variant = "a <b>", .seed = 3, .learning_rates = "1", .problem = "not finite"});
  const Table table = make_table(comparison);
  const std::string html = comparison_html(comparison, table), markdown = comparison_markdown(comparison, table);
  EXPECT_THAT(html, ::testing::HasSubstr("moelora &lt;&amp;&gt;"));
  EXPECT_THAT(html, ::testing::Not(::testing::AnyOf(::testing::HasSubstr("<script"), ::testing::HasSubstr("src="),
                                                    ::testing::HasSubstr("href="))));
  size_t pictures = 0;
  for (size_t at = html.find("<svg"); at != std::string::npos; at = html.find("<svg", at + 1)) ++pictures;
  EXPECT_EQ(pictures, 2u + 2u + 1u + 2u + 4u);  // two curves, those of two tasks, bars, two gates, keys of two legends
  EXPECT_THAT(html, ::testing::HasSubstr("<td>12</td><td>1e-4 (edge of the grid)</td><td>2 s</td>"));
  EXPECT_THAT(html, ::testing::HasSubstr("<td class=\"best\">0.2500</td><td>diverged</td><td>edge of the grid</td>"));
  EXPECT_THAT(html, ::testing::HasSubstr("Diverged: a &lt;b&gt;, seed 3, learning rate 1: not finite"));
  for (const std::string text : {"gate: layers.0.q_proj", "gate: layers.1.q_proj", "labels", "0.25", "0.38", "0.62"})
    EXPECT_THAT(html, ::testing::HasSubstr(">" + text + "</text>")) << "a map for each layer: tasks by experts";
  EXPECT_THAT(html, ::testing::HasSubstr("<figcaption>items</figcaption><svg"));
  EXPECT_THAT(markdown, ::testing::HasSubstr("| **0.25"));
  EXPECT_THAT(markdown, ::testing::HasSubstr("edge of the grid"));
  const nlohmann::ordered_json json = comparison_json(comparison, table);
  EXPECT_EQ(json["variants"][1]["difference"]["estimate"], 0);
  EXPECT_EQ(json["variants"][0]["tasks"]["text"]["mean"], 0.3);
}

}  // namespace
}  // namespace moelora::compare
