// Which learning rate a method gets, and what becomes of those that diverge.
#include <gmock/gmock.h>

#include "compare/report.h"
#include "compare/runner.h"
#include "compared.h"
#include "core/error.h"

namespace moelora::compare {
namespace {

namespace fs = std::filesystem;

TEST_F(Compared, ALearningRateIsChosenOnDevRowsFromTheSameGrid) {
  const config::CompareSpec grid =
      spec("seeds: [1, 2]\nlearning_rates: [1.0e-30, 0.02, 1.0e-29]\nmethods: {moelora: {adapter.method: moelora}}\n");
  const Comparison comparison = run_comparison(grid, {.quiet = true});
  const VariantResults& variant = comparison.variants[0];
  ASSERT_EQ(variant.trials.size(), 3u);
  EXPECT_LT(variant.trials[1].dev, variant.trials[0].dev);
  EXPECT_EQ(variant.learning_rate, "0.02");
  EXPECT_TRUE(variant.at_edge) << "of the rates' values, in whatever order they stand";
  EXPECT_EQ(variant.seeds[1].learning_rate, "0.02");
  const Comparison wider = run_comparison(
      spec("seeds: [1, 2]\nlearning_rates: [0.02, 1.0e-30, 1.0e+30]\nmethods: {moelora: {adapter.method: moelora}}\n"),
      {.quiet = true});
  EXPECT_EQ(wider.variants[0].learning_rate, "0.02");
  EXPECT_FALSE(wider.variants[0].at_edge);
}

TEST_F(Compared, ALearningRateThatDivergesIsTheWorstOfTheGrid) {
  const config::CompareSpec grid =
      spec("seeds: [1, 2]\nlearning_rates: [0.02, 1.0e+30]\nmethods: {moelora: {adapter.method: moelora}}\n");
  const Comparison comparison = run_comparison(grid, {.quiet = true});
  EXPECT_EQ(comparison.computed, 4);  // two trials, the chosen one's test rows, a second seed
  const VariantResults& variant = comparison.variants.at(0);
  ASSERT_EQ(variant.trials.size(), 2u);
  EXPECT_TRUE(variant.trials[1].diverged);
  EXPECT_EQ(variant.learning_rate, "0.02");
  const Table table = make_table(comparison);
  EXPECT_THAT(comparison_markdown(comparison, table), ::testing::HasSubstr("** (edge of the grid) | diverged |"));
  EXPECT_TRUE(comparison_json(comparison, table)["variants"][0]["trials"][1]["dev"].is_null());
  EXPECT_EQ(run_comparison(grid, {.quiet = true}).computed, 0) << "it isn't trained again";
}

TEST_F(Compared, TheSearchThatGivenRatesAreOfStandsInTheReports) {
  const std::string head = "config: run.yaml\nresults: results\nseeds: [1]\n";
  const std::string lora = "reference: lora\nmethods: {lora: {adapter.method: lora}}\n";
  const fs::path dir = made_.directory.path();
  test::write_file(dir / "search.yaml", head + "learning_rates: [1.0e-30, 0.02, 0.01]\n" + lora);
  config::CompareSpec search = config::load_compare_spec(dir / "search.yaml");
  search.output = dir / "search";
  const Comparison tried = run_comparison(search, {.quiet = true});
  const config::CompareSpec given = spec("seeds: [2]\nrates: [search.yaml]\n" + lora);
  const Comparison comparison = run_comparison(given, {.quiet = true});
  EXPECT_EQ(comparison.computed, 1) << "what is shown isn't run";
  ASSERT_EQ(comparison.searches.size(), 1u);
  const RateSearch& shown = comparison.searches[0];
  EXPECT_EQ(shown.file, "search.yaml");
  EXPECT_EQ(shown.seed, 1u);
  ASSERT_EQ(shown.variants.at(0).trials.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(shown.variants[0].trials[i].dev, tried.variants[0].trials[i].dev);
  EXPECT_EQ(shown.variants[0].learning_rate, tried.variants[0].learning_rate);
  const Table table = make_table(comparison);
  const std::string markdown = comparison_markdown(comparison, table);
  const std::string rows = markdown.substr(markdown.find("## Learning rates"));
  EXPECT_THAT(rows, ::testing::HasSubstr("The same grid for every method of search.yaml (code "));
  EXPECT_THAT(rows, ::testing::HasSubstr("| method | 1.0e-30 | 0.02 | 0.01 |"));
  EXPECT_THAT(rows,
              ::testing::HasSubstr(" **" + trial_text(shown.variants[0], shown.variants[0].learning_rate) + "** "));
  EXPECT_THAT(comparison_html(comparison, table), ::testing::HasSubstr("<th>1.0e-30"));
  EXPECT_EQ(comparison_json(comparison, table)["searches"][0]["variants"][0]["trials"].size(), 3u);

  // Of other data there is no search.
  test::write_file(dir / "data/echo/dev.jsonl", "{\"input\": \"another\", \"target\": \"red\"}\n");
  const Comparison other = run_comparison(given, {.quiet = true});
  EXPECT_TRUE(other.searches.at(0).variants.at(0).trials.empty());
  for (const std::string& page :
       {comparison_markdown(other, make_table(other)), comparison_html(other, make_table(other))}) {
    EXPECT_THAT(page, ::testing::HasSubstr("No result of search.yaml on this base and data"));
    EXPECT_THAT(page, ::testing::Not(::testing::HasSubstr("1.0e-30")));
  }

  test::write_file(dir / "search.yaml", head + lora);
  EXPECT_THAT([&] { run_comparison(given, {.quiet = true}); },
              ::testing::ThrowsMessage<Error>(::testing::AllOf(::testing::HasSubstr("`rates`: "),
                                                               ::testing::HasSubstr("search.yaml"),
                                                               ::testing::HasSubstr("tries no learning rates"))));
}

TEST_F(Compared, AReportAloneShowsTheGridWhereNothingWasTestedYet) {
  const config::CompareSpec grid =
      spec("seeds: [1, 2]\nlearning_rates: [1.0e-30, 0.02]\nmethods: {moelora: {adapter.method: moelora}}\n");
  const Comparison whole = run_comparison(grid, {.quiet = true});
  for (const Result& tested : whole.variants[0].seeds) fs::remove(grid.results / (tested.key + ".json"));
  const Comparison part = run_comparison(grid, {.quiet = true, .report_only = true});
  EXPECT_TRUE(part.variants.empty());
  const Table table = make_table(part);
  const std::string markdown = comparison_markdown(part, table);
  EXPECT_THAT(markdown, ::testing::HasSubstr("## Learning rates"));
  EXPECT_THAT(markdown, ::testing::HasSubstr("| moelora | **" + trial_text(whole.variants[0], "1.0e-30") +
                                             "** (edge of the grid) | – |"));
  EXPECT_THAT(markdown, ::testing::Not(::testing::HasSubstr("## Against")));
  EXPECT_THAT(comparison_html(part, table), ::testing::Not(::testing::HasSubstr("Against")));
}

TEST_F(Compared, AReportAloneShowsTheGridWhereMethodsHaveNoSeedInCommonOrDiverge) {
  const std::string lora = "lora: {adapter.method: lora}", moelora = "moelora: {adapter.method: moelora}";
  const config::CompareSpec grid =
      spec("seeds: [1, 2]\nlearning_rates: [0.01, 0.02]\nmethods: {" + moelora + ", " + lora + "}\n");
  const Comparison whole = run_comparison(grid, {.quiet = true});
  const fs::path trial = grid.results / (whole.variants.at(0).seeds.at(0).key + ".json");
  nlohmann::json untested = nlohmann::json::parse(test::read_file(trial));
  untested["tasks"] = nlohmann::json::object();
  test::write_file(trial, untested.dump());
  fs::remove(grid.results / (whole.variants.at(1).seeds.at(1).key + ".json"));
  const auto report = [](const config::CompareSpec& one) {
    const Comparison part = run_comparison(one, {.quiet = true, .report_only = true});
    return comparison_markdown(part, make_table(part));
  };
  // Of moelora the second seed is tested, of lora the first.
  const std::string disjoint = report(grid);
  EXPECT_THAT(disjoint, ::testing::HasSubstr("## Learning rates"));
  EXPECT_THAT(disjoint, ::testing::Not(::testing::HasSubstr("## Against")));

  const config::CompareSpec diverging =
      spec("seeds: [1]\nlearning_rates: [1.0e+30, 1.0e+31]\nmethods: {" + moelora + "}\n");
  EXPECT_THROW(run_comparison(diverging, {.quiet = true}), ErrorList);
  EXPECT_THAT(report(diverging), ::testing::HasSubstr("| moelora | diverged | diverged |"));
}

TEST_F(Compared, AScoreIsChosenByItsHighestWhereTheLastRateDiverges) {
  const RunnerOptions scored{.quiet = true, .dev_scores = [](const train::RunSetup& setup) {
                               const double score = setup.config.train.learning_rate == 0.02 ? 0.9 : 0.2;
                               return std::map<std::string, double>{{"colour", score}, {"echo", score}};
                             }};
  const Comparison comparison =
      run_comparison(spec("seeds: [1]\nshared: {eval.generate: true}\nlearning_rates: [0.01, 0.02, 1.0e+30]\n"
                          "methods: {moelora: {adapter.method: moelora}}\n"),
                     scored);
  EXPECT_EQ(comparison.variants.at(0).learning_rate, "0.02");
  EXPECT_TRUE(comparison.variants[0].trials.at(2).diverged);
}

TEST_F(Compared, RatesThatWereNotTriedAreMissingAndNotDiverged) {
  const config::CompareSpec diverging = spec(
      "seeds: [1]\nlearning_rates: [1.0e+30, 1.0e+31]\nreference: lora\nmethods: {lora: {adapter.method: lora}}\n");
  EXPECT_THROW(run_comparison(diverging, {.quiet = true}), ErrorList);
  run_comparison(spec("seeds: [1]\nlearning_rates: [0.02]\nmethods: {moelora: {adapter.method: moelora}}\n"),
                 {.quiet = true});
  const Comparison part =
      run_comparison(spec("seeds: [1, 2]\nlearning_rates: [0.02, 1.0e+30, 1.0e+31]\n"
                          "methods: {moelora: {adapter.method: moelora}, lora: {adapter.method: lora}}\n"),
                     {.quiet = true, .report_only = true});
  EXPECT_TRUE(part.diverged.empty());
  // moelora: two rates and a seed; lora: a rate, and the second seed at whichever is best.
  EXPECT_EQ(part.missing, 5);
}

TEST_F(Compared, AReportOfWhatAllDivergedSaysSo) {
  const config::CompareSpec all =
      spec("seeds: [1]\nmethods: {moelora: {adapter.method: moelora, train.learning_rate: 1.0e+30}}\n");
  for (const bool report_only : {false, true}) {
    EXPECT_THAT([&] { run_comparison(all, {.quiet = true, .report_only = report_only}); },
                ::testing::ThrowsMessage<ErrorList>(::testing::HasSubstr("the run diverged")));
  }
}

TEST_F(Compared, AMethodThatDivergesEndsTheComparisonWhenAllOthersAreDone) {
  const std::string methods =
      "methods:\n  lora: {adapter.method: lora, train.learning_rate: 1.0e+30}\n  moelora: {adapter.method: moelora}\n";
  for (const std::string grid : {"", "learning_rates: [1.0e+30, 1.0e+31]\n"}) {
    const config::CompareSpec both =
        spec("seeds: [1, 2]\n" + grid + (grid.empty() ? methods : "methods: {moelora: {adapter.method: moelora}}\n"));
    std::vector<std::string> messages[2];
    for (std::vector<std::string>& ones : messages) {
      try {
        run_comparison(both, {.quiet = true});
        ADD_FAILURE() << "it has a table";
      } catch (const ErrorList& list) {
        EXPECT_EQ(list.exit_code(), static_cast<int>(ErrorKind::kNumeric));
        for (const Error& error : list.errors()) ones.emplace_back(error.what());
      }
      if (&ones == messages) fs::remove_all(made_.directory.path() / "compare/runs");
    }
    EXPECT_EQ(messages[0], messages[1]);
    EXPECT_FALSE(fs::exists(made_.directory.path() / "compare/runs")) << "nothing is trained again";
    EXPECT_THAT(messages[0][0], ::testing::HasSubstr(grid.empty() ? "lora, seed 1" : "moelora, seed 1"));
    EXPECT_THAT(messages[0][0], ::testing::HasSubstr("not finite"));
    EXPECT_EQ(messages[0].size(), grid.empty() ? 2u : 1u);
  }
  const Comparison rest = run_comparison(spec("seeds: [1, 2]\n" + methods), {.quiet = true, .report_only = true});
  EXPECT_EQ(rest.missing, 0);
  ASSERT_EQ(rest.variants.size(), 1u);
  EXPECT_EQ(rest.variants[0].seeds.size(), 2u);
  EXPECT_THAT(comparison_markdown(rest, make_table(rest)), ::testing::HasSubstr("Diverged: lora, seed 2"));
}

TEST_F(Compared, AReportAloneTakesTheBestOfTheLearningRatesThatWereTried) {
  const std::string methods = "methods: {moelora: {adapter.method: moelora}}\n";
  run_comparison(spec("seeds: [1]\nlearning_rates: [1.0e-30, 0.02]\n" + methods), {.quiet = true});
  const Comparison part = run_comparison(spec("seeds: [1]\nlearning_rates: [1.0e-30, 0.02, 0.03]\n" + methods),
                                         {.quiet = true, .report_only = true});
  EXPECT_EQ(part.variants[0].learning_rate, "0.02");
  EXPECT_FALSE(part.variants[0].at_edge);
  EXPECT_EQ(part.missing, 1);
  EXPECT_THAT(comparison_markdown(part, make_table(part)), ::testing::HasSubstr("** | – |"));
}

}  // namespace
}  // namespace moelora::compare
