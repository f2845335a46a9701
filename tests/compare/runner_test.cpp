// A small comparison from nothing: every method runs over one base, and nothing is computed twice.
#include "compare/runner.h"

#include <gmock/gmock.h>

#include <fstream>
#include <future>
#include <thread>

#include "compare/report.h"
#include "compare/result_store.h"
#include "compare/run_record.h"
#include "compared.h"
#include "config/load.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/hash.h"

namespace moelora::compare {
namespace {

namespace fs = std::filesystem;

TEST_F(Compared, EveryMethodOnceAndNeverAgain) {
  const config::CompareSpec all = spec(
      "seeds: [1, 2]\nmethods:\n  moelora: {adapter.method: moelora}\n  lora: {adapter: {method: lora}}\n"
      "  prompt: {adapter.method: lora_task_prompt}\n  token: {adapter.method: molora}\n  uniform: {adapter.method: "
      "uniform}\n"
      "  single: {adapter.method: lora_per_task}\n  hub: {adapter.method: lorahub}\n  arithmetic: {adapter.method: "
      "task_arithmetic}\n"
      "  full: {adapter.method: full}\n");
  const Comparison first = run_comparison(all, {.quiet = true});
  EXPECT_EQ(first.computed, 18);
  EXPECT_EQ(first.known, 0);
  for (const VariantResults& variant : first.variants) {
    ASSERT_EQ(variant.seeds.size(), 2u);
    EXPECT_EQ(variant.seeds[0].tasks.size(), 2u) << variant.variant.name;
    EXPECT_EQ(variant.seeds[0].tasks[0].rows.size(), 4u);
    EXPECT_GT(variant.seeds[0].parameters, 0);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(made_.directory.path() / "compare/tasks"), {}),
            2);  // one a seed, shared by three methods

  fs::remove_all(made_.directory.path() / "compare/runs");  // another machine, with the results alone
  const Comparison again = run_comparison(all, {.quiet = true});
  EXPECT_EQ(again.computed, 0);
  EXPECT_EQ(again.known, 18);
  EXPECT_EQ(comparison_json(again, make_table(again)), comparison_json(first, make_table(first)));
  write_comparison(again, made_.directory.path() / "compare");
  EXPECT_TRUE(fs::exists(made_.directory.path() / "compare/report.html"));
}

TEST_F(Compared, ABaseInFewerBitsIsAMethodLikeAnother) {
  const Comparison comparison = run_comparison(
      spec("seeds: [1]\nreference: none\nmethods:\n  int8: {quantization: int8}\n  none: {quantization: none}\n"
           "  nf4: {quantization: nf4}\n  none again: {quantization: none, adapter.search_steps: 6}\n"),
      {.quiet = true});
  const auto losses = [&](size_t variant) {
    std::vector<double> all;
    for (const CurvePoint& point : comparison.variants[variant].seeds[0].dev_curve) all.push_back(point.loss);
    return all;
  };
  EXPECT_NE(losses(0), losses(1)) << "what the runner loads first isn't what every method computes with";
  EXPECT_NE(losses(2), losses(1));
  EXPECT_EQ(losses(3), losses(1));
  for (const size_t variant : {0, 2}) {
    EXPECT_THAT(losses(variant), ::testing::Pointwise(::testing::DoubleNear(0.1), losses(1)));
  }
  const std::string page = comparison_markdown(comparison, make_table(comparison));
  EXPECT_THAT(page, ::testing::HasSubstr("| step | int8 | none | nf4 | none again |"));
}

TEST_F(Compared, RowsThatCanNotBeTestedEndItBeforeAnythingIsTrained) {
  const std::string methods =
      "seeds: [1]\nlearning_rates: [0.01, 0.02]\nmethods:\n  moelora: {adapter.method: moelora}\n";
  const fs::path rows = made_.directory.path() / "data/echo/test.jsonl";
  const std::string good = test::read_file(rows);
  test::write_file(rows, good + "{\"input\": \"" + std::string(400, 'x') + "\", \"target\": \"red\"}\n");
  EXPECT_THAT([&] { run_comparison(spec(methods), {.quiet = true}); },
              ::testing::ThrowsMessage<ErrorList>(
                  ::testing::AllOf(::testing::HasSubstr("test.jsonl:5"), ::testing::HasSubstr("too long"))));
  test::write_file(rows, good);
  EXPECT_THAT([&] { run_comparison(spec(methods + "  other: {tasks.echo.metric: nonsense}\n"), {.quiet = true}); },
              ::testing::ThrowsMessage<ErrorList>(::testing::HasSubstr("nonsense")));
  fs::remove(made_.directory.path() / "data/colour/dev.jsonl");
  EXPECT_THAT([&] { run_comparison(spec(methods + "  hub: {adapter.method: lorahub}\n"), {.quiet = true}); },
              ::testing::ThrowsMessage<ErrorList>(::testing::HasSubstr("dev rows")));
  EXPECT_FALSE(fs::exists(made_.directory.path() / "compare/runs"));
}

TEST_F(Compared, TheRunsOfTasksAreThoseOfTheTemplateAndMoveWithTheDirectory) {
  const fs::path model = made_.copy_model(), compare = made_.directory.path() / "compare";
  made_.write_config();
  config::CompareSpec single =
      spec("seeds: [1]\nmethods: {single: {adapter.method: lora_per_task}}\nreference: single\n");
  run_comparison(single, {.quiet = true});
  const fs::path moved = made_.directory.path() / "moved";
  fs::rename(compare, moved);
  single.output = moved;
  const auto again = [&] {
    fs::remove_all(made_.directory.path() / "results");
    return run_comparison(single, {.quiet = true}).computed;
  };
  const auto sets = [&] { return std::distance(fs::directory_iterator(moved / "tasks"), fs::directory_iterator()); };
  const fs::path run = fs::directory_iterator(moved / "runs")->path();
  EXPECT_TRUE(fs::exists(run / "tasks/colour/adapter"));
  Result curves;
  read_curves(run, curves);
  EXPECT_EQ(curves.task_dev_curves.size(), 2u) << "each task's, of its own LoRA";
  EXPECT_FALSE(curves.task_dev_curves["echo"].empty());
  EXPECT_TRUE(curves.dev_curve.empty() && curves.train_curve.empty());
  fs::remove_all(run / "adapter");
  EXPECT_EQ(again(), 1);
  EXPECT_EQ(sets(), 1);

  fs::remove_all(run / "adapter");
  fs::remove(run / "tasks");
  fs::create_directory_symlink("/nowhere/at/all", run / "tasks");  // as a copy of another place's would have it
  EXPECT_EQ(again(), 1);
  EXPECT_EQ(sets(), 1);
  EXPECT_FALSE(fs::exists("/nowhere"));

  std::ofstream(model / "chat_template.jinja", std::ios::app) << "{# another #}";
  EXPECT_EQ(again(), 1);
  EXPECT_EQ(sets(), 2);
}

TEST_F(Compared, AReportAloneHasTheSeedsThatAllMethodsWithResultsHave) {
  const std::string methods = "methods:\n  moelora: {adapter.method: moelora}\n  lora: {adapter.method: lora}\n";
  const RunnerOptions report_only{.quiet = true, .report_only = true};
  EXPECT_THAT([&] { run_comparison(spec("seeds: [1, 2]\n" + methods), report_only); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("0 of 4 results")));
  run_comparison(spec("seeds: [1]\n" + methods), {.quiet = true});
  run_comparison(spec("seeds: [2]\nmethods: {moelora: {adapter.method: moelora}}\n"), {.quiet = true});

  const Comparison part =
      run_comparison(spec("seeds: [1, 2, 3]\n" + methods + "  uniform: {adapter.method: uniform}\n"), report_only);
  EXPECT_EQ(part.computed, 0);
  EXPECT_EQ(part.missing, 6);
  EXPECT_EQ(part.spec.seeds, std::vector<uint64_t>{1});
  ASSERT_EQ(part.variants.size(), 2u) << "the third has no result";
  for (const VariantResults& variant : part.variants) ASSERT_EQ(variant.seeds.size(), 1u);
  EXPECT_THAT(comparison_markdown(part, make_table(part)),
              ::testing::HasSubstr("6 runs are missing or not tested yet"));
}

TEST_F(Compared, AReportAloneShowsWhatAnotherVersionsSourcesMade) {
  const config::CompareSpec one = spec("seeds: [1]\nmethods: {moelora: {adapter.method: moelora}}\n");
  const Comparison own = run_comparison(one, {.quiet = true});
  const fs::path results = one.results;
  // As another version would have left it: the same run, its code another, and so its key.
  Result other = own.variants[0].seeds[0];
  fs::remove_all(results);
  other.identity["code"] = std::string(32, 'f');
  other.key = hash_hex(other.identity.dump());
  other.tasks[0].score = 0.125;
  ResultStore(results).keep(other);

  RunnerOptions options{.quiet = true, .report_only = true};
  EXPECT_THAT(
      [&] { run_comparison(one, options); },
      ::testing::ThrowsMessage<Error>(::testing::HasSubstr("--code: " + std::string(32, 'f') + " (1 results)")));
  options.code = "fff";
  const Comparison shown = run_comparison(one, options);
  EXPECT_EQ(shown.variants.at(0).seeds.at(0).tasks[0].score, 0.125);
  EXPECT_EQ(shown.missing, 0);
  EXPECT_THAT(comparison_markdown(shown, make_table(shown)), ::testing::HasSubstr(std::string(32, 'f')));
  options.code = "e";
  EXPECT_THAT([&] { run_comparison(one, options); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("no result is of that code")));
}

TEST_F(Compared, TasksWithBestStepsOfTheirOwnAreOneMethodBesideOthers) {
  const config::CompareSpec both = spec(
      "seeds: [1]\nmethods:\n  moelora: {adapter.method: moelora, eval.every_steps: 1}\n"
      "  own steps: {adapter.method: moelora, eval: {every_steps: 1, best: per_task}}\n"
      "  lora, own steps: {adapter.method: lora, eval: {every_steps: 1, best: per_task}}\n");
  const Comparison comparison = run_comparison(both, {.quiet = true});
  const Result &mean = comparison.variants.at(0).seeds.at(0), &own = comparison.variants.at(1).seeds.at(0);
  EXPECT_EQ(comparison.variants[0].learning_rate, "0.02") << "without a grid a method's own is shown";
  ASSERT_EQ(mean.task_dev_curves.size(), 2u);
  for (const auto& [task, curve] : mean.task_dev_curves) {  // one training, judged in two ways
    const auto& other = own.task_dev_curves.at(task);
    ASSERT_EQ(curve.size(), 4u) << task;
    for (size_t i = 0; i < curve.size(); ++i) EXPECT_EQ(curve[i].loss, other.at(i).loss) << task;
  }
  EXPECT_EQ(own.parameters, mean.parameters);
  for (const VariantResults& variant : comparison.variants) EXPECT_EQ(variant.seeds.at(0).tasks.size(), 2u);
  ASSERT_FALSE(own.gates.empty());
  EXPECT_EQ(own.gates[0].weights.size(), 2u);
  EXPECT_EQ(run_comparison(both, {.quiet = true}).computed, 0);
  EXPECT_THAT(comparison_markdown(comparison, make_table(comparison)), ::testing::HasSubstr("own steps"));
}

TEST_F(Compared, ARunThatAnotherProcessIsAtIsLeftToIt) {
  const config::CompareSpec both =
      spec("seeds: [1]\nmethods:\n  moelora: {adapter.method: moelora}\n  lora: {adapter.method: lora}\n");
  const Comparison before = run_comparison(both, {.quiet = true});
  const auto results = [&] {
    return std::distance(fs::directory_iterator(made_.directory.path() / "results"), fs::directory_iterator());
  };
  const std::string first = before.variants[0].seeds[0].key;
  fs::remove_all(made_.directory.path() / "results");
  fs::remove_all(made_.directory.path() / "compare/runs");
  auto theirs = RunLock::take_if_free(made_.directory.path() / "compare/claims" / first);
  ASSERT_TRUE(theirs);
  auto ours = std::async(std::launch::async, [&] { return run_comparison(both, {.quiet = true}); });
  while (!fs::exists(made_.directory.path() / "results") || results() < 1) std::this_thread::yield();
  EXPECT_EQ(ours.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  EXPECT_EQ(results(), 1);
  theirs.reset();  // it died without a result
  const Comparison after = ours.get();
  EXPECT_EQ(after.computed, 2);
  EXPECT_EQ(after.variants[0].seeds[0].tasks[0].score, before.variants[0].seeds[0].tasks[0].score);
}

TEST_F(Compared, AnotherConfigurationOrDataIsAnotherResult) {
  const config::CompareSpec one = spec("seeds: [1]\nmethods: {moelora: {adapter.method: moelora}}\n");
  const Surroundings here{.run = {.base = "b", .data = "d"}};
  const std::string key = make_cell(one, variants(one)[0], "", 1, here).key;
  EXPECT_EQ(make_cell(one, variants(one)[0], "", 1, here).key, key);
  EXPECT_NE(make_cell(one, variants(one)[0], "", 2, here).key, key);
  EXPECT_NE(make_cell(one, variants(one)[0], "0.5", 1, here).key, key);
  EXPECT_NE(make_cell(one, variants(one)[0], "", 1, {.run = {.base = "b", .data = "other"}}).key, key);
}

TEST_F(Compared, SweepsMultiplyVariants) {
  const config::CompareSpec swept = spec(
      "methods: {moelora: {adapter.method: moelora}, lora: {adapter.method: lora}}\nsweep: {adapter.rank: [2, 4], "
      "adapter.experts: [1, 2]}\n");
  const std::vector<Variant> all = variants(swept);
  ASSERT_EQ(all.size(), 8u);
  EXPECT_EQ(all[1].name, "moelora, adapter.rank=2, adapter.experts=2");
  EXPECT_TRUE(all[1].reference);
  EXPECT_EQ(all[5].sweep, all[1].sweep);
}

TEST_F(Compared, ARunsKeyDoesNotDependOnHowTheSpecSaysIt) {
  const auto keys = [&](const std::string& text) {
    const config::CompareSpec one = spec(text);
    std::vector<std::string> all;
    for (const Variant& variant : variants(one)) all.push_back(make_cell(one, variant, "", 1, {}).key);
    return all;
  };
  const std::vector<std::string> plain =
      keys("methods: {moelora: {adapter: {method: moelora, rank: 8, alpha: 16}, train.epochs: 3}}\n");
  EXPECT_EQ(keys("shared: {train.epochs: 3}\nmethods: {moelora: {adapter.method: moelora}}\n"
                 "sweep: {r = 8: {adapter: {rank: 8, alpha: 16}}}\n"),
            plain);
  EXPECT_EQ(keys("shared: {adapter.rank: 8, adapter.alpha: 16, train.epochs: 4}\n"
                 "methods: {moelora: {adapter.method: moelora, train.epochs: 3}}\n"),
            plain);
  EXPECT_EQ(keys("shared: {train.epochs: 3}\nmethods: {moelora: {adapter: {method: moelora, alpha: 16}}}\n"
                 "sweep: {adapter.rank: [8]}\n"),
            plain);
}

TEST_F(Compared, WhatIsSharedIsNoOtherDataThanWhatAMethodChanges) {
  run_comparison(spec("seeds: [1]\nshared: {tasks.colour.max_rows: 4, quantization: int8}\n"
                      "methods: {moelora: {adapter.method: moelora}}\n"),
                 {.quiet = true});
  const Comparison again = run_comparison(
      spec("seeds: [1]\n"
           "methods: {moelora: {adapter.method: moelora, tasks.colour.max_rows: 4, quantization: int8}}\n"),
      {.quiet = true});
  EXPECT_EQ(again.computed, 0);
  EXPECT_EQ(again.known, 1);
}

TEST_F(Compared, WhatIsWrittenToTheConfigurationMeanwhileCountsForNoRun) {
  made_.config.eval.generate = true;
  made_.write_config();
  const auto rewrite = [this](const train::RunSetup&) {
    made_.config.adapter.rank = 8;
    made_.config.train.learning_rate = 0.5;
    made_.write_config();
    return std::map<std::string, double>{{"colour", 0.5}, {"echo", 0.5}};
  };
  const Comparison comparison = run_comparison(
      spec("seeds: [1, 2]\nmethods: {moelora: {adapter.method: moelora}, lora: {adapter.method: lora}}\n"),
      {.quiet = true, .dev_scores = rewrite});
  ASSERT_EQ(comparison.computed, 4);
  for (const VariantResults& variant : comparison.variants) {
    EXPECT_EQ(variant.learning_rate, "0.02");
    for (const Result& result : variant.seeds)
      EXPECT_EQ(result.parameters, comparison.variants[0].seeds[0].parameters - (variant.variant.reference ? 0 : 16));
  }
}

TEST_F(Compared, DataThatChangeMeanwhileEndIt) {
  made_.config.eval.generate = true;
  made_.write_config();
  const fs::path rows = made_.directory.path() / "data/echo/train.jsonl";
  const auto rewrite = [&](const train::RunSetup&) {
    test::write_file(rows, test::read_file(rows) + "{\"input\": \"one more\", \"target\": \"row\"}\n");
    return std::map<std::string, double>{{"colour", 0.5}, {"echo", 0.5}};
  };
  EXPECT_THAT(
      [&] {
        run_comparison(spec("seeds: [1, 2]\nmethods: {moelora: {adapter.method: moelora}}\n"),
                       {.quiet = true, .dev_scores = rewrite});
      },
      ::testing::ThrowsMessage<Error>(::testing::HasSubstr("its data has changed since it began")));
  EXPECT_EQ(std::distance(fs::directory_iterator(made_.directory.path() / "results"), {}), 1);
}

TEST_F(Compared, MethodsThatHaveOneNameAtTheirPointsAreRefused) {
  EXPECT_THAT(
      [&] {
        run_comparison(spec("methods: {moelora: {adapter.method: moelora}, 'moelora, a': {adapter.method: lora}}\n"
                            "sweep: {'a, b': {adapter.alpha: 4}, b: {adapter.alpha: 8}}\n"),
                       {.quiet = true});
      },
      ::testing::ThrowsMessage<Error>(::testing::HasSubstr("moelora, a, b")));
}

TEST_F(Compared, EachPointOfASweepHasItsOwnReference) {
  const Comparison comparison = run_comparison(
      spec("seeds: [1, 2]\nshared: {train.max_steps: 2}\n"
           "methods: {moelora: {adapter.method: moelora}, lora: {adapter.method: lora}}\n"
           "sweep: {r = 4: {adapter.rank: 4, adapter.alpha: 8}, r = 2: {adapter.rank: 2, adapter.alpha: 4}}\n"),
      {.quiet = true});
  const std::vector<std::optional<Difference>> found = differences(comparison);
  ASSERT_EQ(comparison.variants.size(), 4u);
  for (const size_t point : {0, 1}) {
    EXPECT_EQ(comparison.variants[point].seeds[0].steps, 2);
    EXPECT_FALSE(found[point].has_value());
    ASSERT_TRUE(found[2 + point].has_value());
    double difference = 0;
    for (size_t s = 0; s < 2; ++s) {
      for (size_t t = 0; t < 2; ++t)
        difference +=
            comparison.variants[2 + point].seeds[s].tasks[t].score - comparison.variants[point].seeds[s].tasks[t].score;
    }
    EXPECT_NEAR(found[2 + point]->mean.estimate, difference / 4, 1e-12);
  }
  EXPECT_EQ(comparison.variants[3].variant.name, "lora, r = 2");
}

TEST(CompareSpec, NamesEveryMistake) {
  try {
    config::parse_compare_spec(
        "confg: a.yaml\nseeds: [1, 1, x]\nmethods: {lora: {model: other}, moelora: 3}\nresamples: 5\n", "spec.yaml");
    ADD_FAILURE() << "a wrong spec was taken";
  } catch (const ErrorList& list) {
    EXPECT_THAT(
        list.what(),
        ::testing::AllOf(::testing::HasSubstr("unknown key `confg`"), ::testing::HasSubstr("did you mean `config`?"),
                         ::testing::HasSubstr("names a value twice"), ::testing::HasSubstr("isn't a whole number"),
                         ::testing::HasSubstr("`model` must be the same"), ::testing::HasSubstr("`config` is missing"),
                         ::testing::HasSubstr("`moelora` needs a mapping"),
                         ::testing::HasSubstr("expected 100 to 1000000")));
  }
}

}  // namespace
}  // namespace moelora::compare
