// moelora train CONFIG.yaml
#include <cstdio>
#include <memory>

#include "config/load.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "data/training_stream.h"
#include "dev_scores.h"
#include "train/progress.h"
#include "train/snapshots.h"
#include "train/trainer.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct TrainFlags {
  std::string config;
  bool resume = false;
};

/// Each task's share of what is learned from, before anything is trained.
void print_tasks(const train::RunSetup& setup) {
  const data::Sampler sampler(*setup.train_rows, data::sampler_options(setup.config.train, setup.dataset));
  const std::vector<double> shares = data::supervised_shares(*setup.train_rows, sampler);
  std::printf("%-24s %8s %8s %12s %10s %8s %8s\n", "task", "train", "dev", "prompt tok", "share", "cut", "dropped");
  for (size_t t = 0; t < setup.dataset.tasks.size(); ++t) {
    const data::Task& task = setup.dataset.tasks[t];
    const data::TaskTokens& stats = setup.train_rows->stats()[t];
    std::printf("%-24s %8zu %8zu %12lld %9.1f%% %8lld %8lld\n", task.name.c_str(), task.of(data::Split::kTrain).size(),
                task.of(data::Split::kDev).size(), static_cast<long long>(stats.prompt_tokens), 100 * shares[t],
                static_cast<long long>(stats.cut), static_cast<long long>(stats.dropped));
  }
}

void run_train(const TrainFlags& train_flags, const std::vector<std::string>& overrides, const GlobalFlags& flags) {
  install_interrupt_handlers();
  train::RunSetup setup = train::prepare_data(config::load_config(train_flags.config, overrides));
  for (const std::string& warning : setup.dataset.warnings) log_warn(warning);
  if (!flags.quiet) print_tasks(setup);
  train::load_model(setup);
  train::TrainOptions options{.resume = train_flags.resume, .quiet = flags.quiet};
  if (setup.config.eval.generate) options.dev_scores = dev_scores();
  const train::TrainResult result = train::train(setup, options);
  std::printf("done: %lld steps in %s, %.0f tokens/s%s\n", static_cast<long long>(result.steps),
              train::format_duration(result.seconds).c_str(),
              result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0,
              result.stopped_early ? " (stopped early)" : "");
  if (result.best_value) {
    const bool per_task = !result.task_steps.empty();
    const std::string step =
        per_task ? train::steps_text(setup.dataset.task_names(), result.task_steps) : std::to_string(result.best_step);
    const bool of_mean = setup.config.eval.best == config::kBestPerTask;  // each task's own, of which this is the mean
    std::printf("best: step %s, %s %.4f\n", step.c_str(),
                of_mean ? config::kBestOfMean : setup.config.eval.best.c_str(), *result.best_value);
  }
  std::printf("result: %s\n", result.artefact.c_str());
}

}  // namespace

void add_train(CLI::App& app, const GlobalFlags& flags) {
  CLI::App* verb =
      add_verb(app, "train", "fine-tune; checkpoints, exact resume, per-task losses",
               "moelora train config.yaml --train.learning_rate=1e-4\n  moelora train config.yaml --resume");
  const auto own = std::make_shared<TrainFlags>();
  verb->add_option("config", own->config, "configuration (docs/config.md)")->required();
  verb->add_flag("--resume", own->resume, "continue the run from its newest valid checkpoint");
  verb->allow_extras();
  verb->callback([verb, own, &flags] { run_train(*own, config_overrides(*verb), flags); });
}

}  // namespace moelora::app
