// A run that is cut after any of its checkpoints goes on to the same bits, whatever its method.
#include <gmock/gmock.h>

#include "io/checkpoint.h"
#include "made_run.h"
#include "support/methods.h"
#include "train/trainer.h"

namespace moelora::train {
namespace {

namespace fs = std::filesystem;
using moelora::testing::expect_same_tensors;
using moelora::testing::MadeRun;
using moelora::testing::MethodCase;
using moelora::testing::metrics;

class ResumedRun : public ::testing::TestWithParam<MethodCase> {
 protected:
  ResumedRun() {
    GetParam().apply_to(made_.config.adapter);
    made_.config.adapter.dropout = GetParam().method == config::Method::kFull ? 0 : 0.2;
    made_.config.adapter.search_steps = 12;
    made_.config.train.max_steps = 6;
    made_.config.train.learning_rate = 0.02;
    made_.config.train.log_every = 1;
    made_.config.eval.every_steps = 2;
    made_.config.checkpoint.keep = 100;
    if (GetParam().own_steps) made_.config.eval.best = config::kBestPerTask;
  }

  /// With own steps `colour` is best at the first evaluation of the whole run, `echo` at the last; else losses decide.
  TrainOptions options(bool resume, int64_t evaluations_done = 0) const {
    TrainOptions options{.resume = resume, .quiet = true};
    if (GetParam().own_steps) {
      options.dev_scores = [evaluation = evaluations_done](const RunSetup&) mutable {
        ++evaluation;
        return std::map<std::string, double>{{"colour", 1.0 / static_cast<double>(evaluation)},
                                             {"echo", 0.1 * static_cast<double>(evaluation)}};
      };
    }
    return options;
  }

  /// The last checkpoint, with the optimizer's moments and the cursors, and the metrics, apart from times.
  static void expect_same_training(const fs::path& run, const fs::path& whole, int64_t steps) {
    const io::Checkpoint last = io::load_checkpoint(io::checkpoint_dir(run, steps)),
                         expected = io::load_checkpoint(io::checkpoint_dir(whole, steps));
    expect_same_tensors(last.tensors, expected.tensors);
    EXPECT_GT(expected.tensors.size(), 3u) << "masters and both moments";
    EXPECT_EQ(without_times(last.state), without_times(expected.state));
    EXPECT_EQ(metrics(run), metrics(whole));
  }

  void expect_same_artefact(const fs::path& run, const fs::path& whole) const {
    const std::string artefact = artefact_dir(made_.config).filename();
    size_t files = 0;
    for (const auto& entry : fs::directory_iterator(whole / artefact)) {
      if (entry.path().extension() != ".safetensors") continue;
      ++files;
      EXPECT_TRUE(test::read_file(run / artefact / entry.path().filename()) == test::read_file(entry.path()));
    }
    EXPECT_EQ(files, 1u);
  }

  MadeRun made_;

 private:
  static nlohmann::json without_times(nlohmann::json state) {
    state.erase("time");
    state.erase("metrics_size");  // of lines that have times
    return state;
  }
};

TEST_P(ResumedRun, IsTheWholeRunToTheBit) {
  RunSetup setup = made_.setup();
  const TrainResult whole = train(setup, options(/*resume=*/false));
  const fs::path out = made_.config.output;
  // A run that is made of several is cut in the second of them.
  const fs::path second = config::is_made_of_runs(made_.config.adapter.method) ? fs::path("tasks/echo") : fs::path();
  const int64_t last = second.empty() ? 6 : 3;
  std::vector<int64_t> steps;
  for (int64_t step = 1; step < last; ++step) {
    if (fs::exists(io::checkpoint_dir(out / second, step))) steps.push_back(step);
  }
  ASSERT_THAT(steps, second.empty() ? ::testing::ElementsAre(2, 4) : ::testing::ElementsAre(1, 2));
  for (const int64_t step : steps) {
    SCOPED_TRACE("cut after step " + std::to_string(step));
    config::RunConfig cut = made_.config;
    cut.output = (made_.directory.path() / ("cut" + std::to_string(step))).string();
    fs::copy(out, cut.output, fs::copy_options::recursive);
    for (const fs::path& run : {fs::path(cut.output), cut.output / second})
      fs::remove_all(run / artefact_dir(cut).filename());
    fs::remove(fs::path(cut.output) / "weights.json");
    for (int64_t later = step + 1; later <= last; ++later)
      fs::remove_all(io::checkpoint_dir(cut.output / second, later));
    RunSetup again = prepare_data(cut);
    load_model(again);
    const TrainResult result = train(again, options(/*resume=*/true, /*evaluations_done=*/step / 2));
    EXPECT_EQ(result.steps, whole.steps);
    EXPECT_EQ(result.best_step, whole.best_step);
    EXPECT_EQ(result.best_value, whole.best_value);
    EXPECT_EQ(result.task_steps, whole.task_steps);
    EXPECT_EQ(result.tokens, whole.tokens);
    expect_same_training(cut.output / second, out / second, last);
    expect_same_artefact(cut.output / second, out / second);
    expect_same_artefact(cut.output, out);
    ASSERT_EQ(fs::exists(fs::path(cut.output) / "weights.json"), fs::exists(out / "weights.json"));
    if (!fs::exists(out / "weights.json")) continue;
    EXPECT_EQ(test::read_file(fs::path(cut.output) / "weights.json"), test::read_file(out / "weights.json"));
  }
}

std::vector<MethodCase> all_methods() {
  std::vector<MethodCase> all = moelora::testing::methods_and_own_steps();
  std::erase_if(all, [](const MethodCase& method) {  // it changes nothing that is kept
    return method.normalise == config::GateNormalise::kMeanOne;
  });
  all.push_back({"full", config::Method::kFull});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, ResumedRun, ::testing::ValuesIn(all_methods()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace moelora::train
