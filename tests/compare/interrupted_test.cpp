// A comparison that is stopped or killed in the middle of a run and started again gives the results of one that never
// was: the same files, apart from times.
#include <gmock/gmock.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "compare/runner.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "io/json_file.h"
#include "made_comparison.h"

namespace moelora::compare {
namespace {

namespace fs = std::filesystem;

/// Two learning rates, and methods that are one run with a gate, one without and several runs: 18 evaluations.
class InterruptedComparison : public ::testing::TestWithParam<int> {
 protected:
  InterruptedComparison() {
    made_.config.adapter.dropout = 0.1;
    made_.config.train.log_every = 1;
    made_.config.eval.every_steps = 2;
    made_.config.checkpoint.every_steps = 1;
    made_.config.eval.generate = true;  // so that dev_scores is called
    made_.write_config();
  }

  /// `name`: where it computes, and where its results are kept.
  config::CompareSpec spec(const std::string& name) const {
    const std::string dir = made_.directory.path().string();
    return config::parse_compare_spec("config: run.yaml\noutput: " + dir + "/" + name + "\nresults: " + name +
                                          "-results\nseeds: [1]\nlearning_rates: [0.02, 0.01]\nmethods:\n"
                                          "  moelora: {adapter.method: moelora}\n  lora: {adapter.method: lora}\n"
                                          "  hub: {adapter.method: lorahub}\n",
                                      dir + "/compare.yaml");
  }

  /// Every result by its file's name, without what the clock decides.
  std::map<std::string, nlohmann::json> results(const std::string& name) const {
    std::map<std::string, nlohmann::json> all;
    for (const auto& entry : fs::directory_iterator(made_.directory.path() / (name + "-results"))) {
      nlohmann::json& result = all[entry.path().filename()] = io::read_json_object(entry.path());
      EXPECT_EQ(result.erase("seconds"), 1u);
    }
    return all;
  }

  testing::MadeComparison made_;
};

/// In place of generated answers' scores: of what a run has learnt, by its B.
std::map<std::string, double> scores_of(const train::RunSetup& run) {
  double sum = 0;
  for (const auto& [name, value] : testing::snapshot(run)) {
    if (name.ends_with(".lora_B")) sum += value.abs().mean().item<double>();
  }
  std::map<std::string, double> scores;
  for (const std::string& task : run.dataset.task_names()) scores[task] = (task == "echo" ? 0.5 : 1) * sum;
  return scores;
}

/// Sends this process a signal in an evaluation; the process ends with the Error's exit code.
[[noreturn]] void compare_and_exit(const config::CompareSpec& spec, int signal, int evaluation) {
  install_interrupt_handlers();
  int evaluations = 0;
  try {
    run_comparison(spec, {.quiet = true, .dev_scores = [&](const train::RunSetup& run) {
                            if (++evaluations == evaluation) std::raise(signal);
                            throw_if_interrupted();
                            return scores_of(run);
                          }});
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::exit(error.exit_code());
  }
  std::exit(0);
}

TEST_P(InterruptedComparison, HasTheResultsOfAnUninterruptedOne) {
  const int signal = GetParam(), evaluation = 5;  // of lora at step 2 of 4; then of hub, at step 1 of 2
  const RunnerOptions calm{.quiet = true, .dev_scores = scores_of};
  const Comparison whole = run_comparison(spec("whole"), calm);
  // Twice: the second process goes on with what the first left, and is stopped in turn.
  const auto stopped = [signal](int status) {
    return signal == SIGTERM ? ::testing::ExitedWithCode(75)(status) : ::testing::KilledBySignal(SIGKILL)(status);
  };
  EXPECT_EXIT(compare_and_exit(spec("cut"), signal, evaluation), stopped, "");
  EXPECT_EQ(results("cut").size(), 2u);
  EXPECT_EXIT(compare_and_exit(spec("cut"), signal, evaluation), stopped, "");
  EXPECT_EQ(results("cut").size(), 4u);
  const Comparison resumed = run_comparison(spec("cut"), calm);
  EXPECT_EQ(resumed.computed, 2 + 3);  // and the test rows of the three that were chosen
  const auto found = results("cut"), expected = results("whole");
  ASSERT_EQ(expected.size(), 6u);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [file, result] : expected) EXPECT_EQ(found.at(file), result) << file;
  for (size_t i = 0; i < whole.variants.size(); ++i)
    EXPECT_EQ(resumed.variants.at(i).learning_rate, whole.variants[i].learning_rate);
}

INSTANTIATE_TEST_SUITE_P(All, InterruptedComparison, ::testing::Values(SIGTERM, SIGKILL),
                         [](const auto& info) { return info.param == SIGTERM ? "stopped" : "killed"; });

}  // namespace
}  // namespace moelora::compare
