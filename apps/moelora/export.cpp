// moelora export RUN --to DIR
#include "train/export.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "base_flags.h"
#include "config/enum_names.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "train/export_check.h"
#include "train/merge_difference.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct ExportFlags {
  std::string run;
  std::string to;
  std::vector<std::string> tasks;
  bool all_tasks = false;
  std::string format = "peft";
  bool pad_rank = false;
  bool check = false;
  std::string onto;
  int64_t dev_rows = 100;
  BaseFlags base;
};

const std::map<std::string, train::ExportFormat> kFormats = {{"peft", train::ExportFormat::kPeft},
                                                             {"merged", train::ExportFormat::kMerged},
                                                             {"gguf", train::ExportFormat::kGguf}};

void check(const train::OpenRun& run, const std::string& task, const std::filesystem::path& dir,
           const train::ExportOptions& options) {
  const train::ExportCheck result = train::check_export(run, task, dir, options);
  std::printf("%s: read back, logits differ from the run's by at most %.2e (the adapter changes them by %.2e)\n",
              dir.c_str(), result.difference, result.effect);
  if (result.passed()) return;
  char found[32], expected[32];
  std::snprintf(found, sizeof found, "%.2e", result.difference);
  std::snprintf(expected, sizeof expected, "%.2e", result.tolerance);
  throw Error(ErrorKind::kModel, {.where = dir.string(),
                                  .problem = "what was written doesn't give the run's logits",
                                  .found = std::string("a difference of ") + found,
                                  .expected = std::string("at most ") + expected});
}

/// What a quantised run's merged model isn't exactly: the run.
void print_difference(const train::OpenRun& run, const std::string& task, const std::filesystem::path& dir,
                      const std::optional<data::Dataset>& dataset, int64_t rows) {
  const std::string form = config::name_of(run.saved.config.quantization);
  const train::LogitDifference logits = train::merged_logits(run, task, dir);
  std::printf(
      "  logits, beside the run's over the %s base: at most %.2e apart, %.2e on average "
      "(the adapter changes them by %.2e)\n",
      form.c_str(), logits.largest, logits.mean, logits.effect);
  if (!dataset) return;
  const train::ScoreDifference score = train::merged_score(run, task, dir, *dataset, rows);
  std::printf("  %s on %lld dev rows: %.4f merged, %.4f the run (%+.4f)\n", score.metric.c_str(),
              static_cast<long long>(score.rows), score.written, score.run, score.written - score.run);
  std::fflush(stdout);
}

train::MergeOnto merge_onto(const ExportFlags& own, const train::OpenRun& run) {
  const bool quantised = run.saved.config.quantization != config::Quantization::kNone;
  const bool merged = own.format == "merged";
  if (!own.onto.empty() && !(merged && quantised)) {
    throw Error(ErrorKind::kUsage,
                {.where = "--onto",
                 .problem = merged ? "the run's base wasn't quantised: there is one sort of weights to merge into"
                                   : "nothing is merged into weights",
                 .expected = merged ? "no --onto" : "--format merged beside it"});
  }
  if (merged && quantised && own.onto.empty()) {
    throw Error(ErrorKind::kUsage,
                {.where = "--onto",
                 .problem = "the adapter was trained over a base in " + config::name_of(run.saved.config.quantization) +
                            ": merge it into which weights?",
                 .expected = "--onto dequantised (those it was trained with) or --onto original (the base's own)",
                 .hint = "what was written is compared with the run either way"});
  }
  return own.onto == "dequantised" ? train::MergeOnto::kDequantised : train::MergeOnto::kOriginal;
}

/// The dev rows of the run's data.
data::Dataset dev_rows(const config::RunConfig& config, const std::vector<std::string>& tasks) {
  constexpr const char* kHint = "--dev-rows 0 compares logits alone";
  data::Dataset dataset;
  try {
    dataset = data::load_dataset(
        config.data, config.tasks,
        {.splits = {data::Split::kTrain, data::Split::kDev}, .required = {}, .allow_unused_settings = true});
  } catch (const Error& error) {
    throw Error(error.kind(), {.where = "--dev-rows",
                               .problem = "the merged model can't be scored: " + std::string(error.what()),
                               .hint = kHint});
  }
  for (const std::string& task : tasks) {
    const auto found = std::ranges::find(dataset.tasks, task, &data::Task::name);
    if (found != dataset.tasks.end() && !found->of(data::Split::kDev).empty()) continue;
    throw Error(ErrorKind::kData, {.where = "task " + task, .problem = "it has no dev rows", .hint = kHint});
  }
  return dataset;
}

void run_export(const ExportFlags& own) {
  install_interrupt_handlers();
  train::ExportOptions options{.format = kFormats.at(own.format), .pad_rank = own.pad_rank};
  if (own.pad_rank && options.format == train::ExportFormat::kMerged) {
    throw Error(ErrorKind::kUsage,
                {.where = "--pad-rank", .problem = "a merged model has no rank", .expected = "--format peft or gguf"});
  }
  train::OpenRunOptions open = own.base.options();
  open.without_weights = true;
  const train::OpenRun run = train::open_run(own.run, open);
  options.onto = merge_onto(own, run);
  std::vector<std::string> tasks;
  for (const std::string& task : own.tasks.empty() ? run.saved.task_names() : own.tasks) {
    if (std::ranges::find(tasks, task) == tasks.end()) tasks.push_back(task);
  }
  for (const std::string& task : tasks) run.task_index(task);
  for (const std::string& task : tasks) {
    const std::filesystem::path dir = std::filesystem::path(own.to) / task;
    if (std::filesystem::exists(dir)) {
      throw Error(ErrorKind::kIo,
                  {.where = dir.string(), .problem = "exists already", .hint = "give another directory with --to"});
    }
  }
  std::optional<data::Dataset> dataset;
  if (!own.onto.empty() && own.dev_rows > 0) dataset = dev_rows(run.saved.config, tasks);
  for (const std::string& task : tasks) {
    const std::filesystem::path dir = std::filesystem::path(own.to) / task;
    throw_if_interrupted();
    train::export_task(run, task, dir, options);
    std::printf("%s\n", dir.c_str());
    if (own.check) check(run, task, dir, options);
    if (!own.onto.empty()) print_difference(run, task, dir, dataset, own.dev_rows);
  }
}

}  // namespace

void add_export(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb =
      add_verb(app, "export", "each task as a PEFT LoRA directory, GGUF LoRA or merged model, collapsed exactly",
               "moelora export runs/medical --to adapters --task report\n"
               "  moelora export runs/medical --to models --format merged --all-tasks --check");
  const auto own = std::make_shared<ExportFlags>();
  verb->add_option("run", own->run, "run directory")->required();
  verb->add_option("--to", own->to, "directory that gets one directory per task")->required();
  CLI::Option* tasks = verb->add_option("--task", own->tasks, "only this task (may be repeated)");
  verb->add_flag("--all-tasks", own->all_tasks, "every task, which is also what happens without --task")
      ->excludes(tasks);
  verb->add_option("--format", own->format,
                   "peft: a LoRA directory; gguf: a LoRA file for llama.cpp; merged: the whole model, sharded as the "
                   "base is, with "
                   "the adapter in its weights")
      ->check(CLI::IsMember({"peft", "merged", "gguf"}))
      ->capture_default_str();
  verb->add_flag("--pad-rank", own->pad_rank, "pad the rank with zeros to one that vLLM's --max-lora-rank can be");
  verb->add_flag("--check", own->check,
                 "read each directory back, compare its logits with the run's and print the largest difference; "
                 "holds the base in float32");
  CLI::Option* onto =
      verb->add_option(
              "--onto", own->onto,
              "of a run over a quantised base, what takes the adapter in: the weights as it was trained with them, "
              "dequantised, or the base's original ones; the difference from the run is printed")
          ->check(CLI::IsMember({"dequantised", "original"}));
  verb->add_option("--dev-rows", own->dev_rows, "so many dev rows per task are scored for that; 0: logits alone")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->needs(onto);
  add_base_flags(*verb, own->base);
  verb->callback([own] { run_export(*own); });
}

}  // namespace moelora::app
