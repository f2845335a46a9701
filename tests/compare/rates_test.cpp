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
  EXPECT_THAT(comparison_markdown(comparison, table), ::testing::HasSubstr("** | diverged |"));
  EXPECT_TRUE(comparison_json(comparison, table)["variants"][0]["trials"][1]["dev"].is_null());
  EXPECT_EQ(run_comparison(grid, {.quiet = true}).computed, 0) << "it isn't trained again";
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
