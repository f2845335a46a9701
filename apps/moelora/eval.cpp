// moelora eval RUN
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base_flags.h"
#include "config/enum_names.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/suggest.h"
#include "eval/evaluator.h"
#include "train/open_run.h"
#include "train/progress.h"
#include "train/snapshots.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct EvalFlags {
  std::string run;
  std::vector<std::string> tasks;
  std::vector<std::string> metrics;
  std::vector<std::string> data;
  std::string split = "test";
  std::string to;
  BaseFlags base;
  int64_t batch_size = 0;
  bool without_adapter = false;
  bool json = false;
  bool show_text = false;
  int64_t rows = 0;
};

/// The directory of the report, which must be free and possible before hours are spent on what goes into it:
/// RUN/eval-<split>, or the first free RUN/eval-<split>-<n>: nothing is overwritten.
std::filesystem::path report_dir(const EvalFlags& own) {
  if (!own.to.empty()) {
    const std::filesystem::path to = own.to;
    if (std::filesystem::exists(to)) {
      throw Error(ErrorKind::kIo,
                  {.where = own.to, .problem = "exists already", .hint = "give another directory with --to"});
    }
    return to;
  }
  const std::string name = "eval-" + own.split + (own.without_adapter ? "-base" : "");
  std::filesystem::path dir = std::filesystem::path(own.run) / name;
  for (int n = 2; std::filesystem::exists(dir); ++n)
    dir = std::filesystem::path(own.run) / (name + "-" + std::to_string(n));
  return dir;
}

/// Before hours are spent on what goes into it; after everything else that can be wrong.
void make_parent(const std::filesystem::path& dir) {
  std::error_code error;
  if (dir.has_parent_path()) std::filesystem::create_directories(dir.parent_path(), error);
  if (error)
    throw Error(ErrorKind::kIo,
                {.where = dir.string(), .problem = "can't make the directory", .found = error.message()});
}

/// `--metric TASK=METRIC` in place of the recorded one.
void set_metrics(const EvalFlags& own, const train::OpenRun& run, config::RunConfig& config) {
  for (const std::string& flag : own.metrics) {
    const size_t equals = flag.find('=');
    if (equals == std::string::npos || equals + 1 == flag.size()) {
      throw Error(ErrorKind::kUsage,
                  {.where = "--metric", .problem = "names no metric", .found = flag, .expected = "TASK=METRIC"});
    }
    const std::string task = flag.substr(0, equals);
    run.task_index(task);
    config.tasks[task].metric = flag.substr(equals + 1);
  }
}

/// The tasks to be scored: those named, else the run's with rows in the split. Others are named in a warning, never
/// skipped silently.
std::vector<std::string> tasks_of(const EvalFlags& own, const train::OpenRun& run, const data::Dataset& dataset,
                                  data::Split split) {
  for (const std::string& task : own.tasks) run.task_index(task);
  if (!own.tasks.empty()) return own.tasks;
  const std::vector<std::string> known = run.saved.task_names();
  std::vector<std::string> tasks, without_rows, unknown;
  for (const std::string& task : known) {
    const auto rows = std::ranges::find(dataset.tasks, task, &data::Task::name);
    (rows != dataset.tasks.end() && !rows->of(split).empty() ? tasks : without_rows).push_back(task);
  }
  for (const data::Task& task : dataset.tasks) {
    if (std::ranges::find(known, task.name) == known.end()) unknown.push_back(task.name);
  }
  if (tasks.empty()) {
    throw Error(ErrorKind::kData,
                {.where = "evaluation",
                 .problem = "there are no " + std::string(data::split_name(split)) + " rows of the run's tasks",
                 .expected = "rows of " + list_names(known)});
  }
  if (!without_rows.empty())
    log_warn("not scored, as they have no " + std::string(data::split_name(split)) +
             " rows: " + list_names(without_rows));
  if (!unknown.empty()) log_warn("not scored, as the run wasn't trained on them: " + list_names(unknown));
  return tasks;
}

void run_eval(const EvalFlags& own, const GlobalFlags& flags) {
  install_interrupt_handlers();
  const std::filesystem::path dir = report_dir(own);
  train::OpenRunOptions open = own.base.options();
  open.without_adapter = own.without_adapter;
  train::OpenRun run = train::open_run(own.run, open);
  config::RunConfig& config = run.saved.config;
  set_metrics(own, run, config);
  if (!own.data.empty()) {
    config.data.sources.clear();
    for (const std::string& path : own.data) config.data.sources.push_back({.path = path});
  }
  const data::Split split = own.split == "dev" ? data::Split::kDev : data::Split::kTest;
  const data::Dataset dataset =
      data::load_dataset(config.data, config.tasks,
                         {.splits = {data::Split::kTrain, split}, .required = {}, .allow_unused_settings = true});
  eval::EvaluateOptions options{.eval = config.eval,
                                .tasks = tasks_of(own, run, dataset, split),
                                .keep_prompts = own.show_text,
                                .baselines = true,
                                .seed = config.train.seed};
  options.eval.rows = own.rows;
  if (own.batch_size > 0) options.eval.batch_size = own.batch_size;
  make_parent(dir);
  std::unique_ptr<train::Progress> progress;
  options.on_row = [&](int64_t done, int64_t rows) {
    if (!progress) progress = std::make_unique<train::Progress>("evaluating", rows, 0, flags.quiet);
    progress->update(done, "rows");
  };
  eval::Evaluation evaluation = eval::evaluate(run.model, dataset, split, *run.renderer, options);
  progress.reset();
  eval::Report& report = evaluation.report;
  report.title = own.run + (own.without_adapter ? " (base)" : "");
  report.score_name = own.without_adapter ? "base" : "score";
  report.facts.emplace_back("base", config.model);
  report.facts.emplace_back("quantization", config::name_of(config.quantization));
  report.facts.emplace_back("adapter step", train::steps_text(run.saved.task_names(), run.saved.task_steps()));
  eval::write_report(report, dir, {.show_text = own.show_text});
  if (own.json) {
    std::cout << eval::report_json(report).dump(2) << "\n";
  } else {
    std::cout << eval::report_table(report);
    std::printf("%lld tokens written in %s (%.0f tokens/s); report: %s\n",
                static_cast<long long>(evaluation.new_tokens), train::format_duration(evaluation.seconds).c_str(),
                evaluation.seconds > 0 ? static_cast<double>(evaluation.new_tokens) / evaluation.seconds : 0,
                dir.c_str());
  }
}

}  // namespace

void add_eval(CLI::App& app, const GlobalFlags& flags) {
  CLI::App* verb =
      add_verb(app, "eval", "generate on the test rows and score every task: table, JSON, HTML, predictions",
               "moelora eval runs/medical --task report --task criterion");
  const auto own = std::make_shared<EvalFlags>();
  verb->add_option("run", own->run, "run directory")->required();
  verb->add_option("--task", own->tasks, "only this task (may be repeated)");
  verb->add_option("--split", own->split, "test or dev")->check(CLI::IsMember({"test", "dev"}))->capture_default_str();
  verb->add_option("--rows", own->rows, "at most so many rows per task, evenly spaced; default 0: all")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--metric", own->metrics, "TASK=METRIC, in place of the task's (may be repeated)");
  verb->add_option("--data", own->data, "rows from this directory or file instead of the run's data (may be repeated)");
  verb->add_option("--to", own->to, "directory of the report, which must not exist; default RUN/eval-<split>");
  verb->add_option("--batch-size", own->batch_size, "answers written together; default: eval.batch_size")
      ->check(CLI::Range(1, 1 << 16));
  add_base_flags(*verb, own->base);
  add_quantization_flag(*verb, own->base);
  verb->add_flag("--without-adapter", own->without_adapter, "score the base alone");
  verb->add_flag("--show-text", own->show_text, "rows' text in the report (which then only you can read)");
  verb->add_flag("--json", own->json, "print JSON instead of a table");
  verb->callback([own, &flags] { run_eval(*own, flags); });
}

}  // namespace moelora::app
