// moelora export RUN --to DIR
#include "train/export.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "core/error.h"
#include "core/interrupt.h"
#include "train/export_check.h"
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
  std::string base;
};

const std::map<std::string, train::ExportFormat> kFormats = {{"peft", train::ExportFormat::kPeft},
                                                             {"merged", train::ExportFormat::kMerged},
                                                             {"gguf", train::ExportFormat::kGguf}};

void check(const train::OpenRun& run, const std::string& task, const std::filesystem::path& dir,
           train::ExportFormat format) {
  const train::ExportCheck result = train::check_export(run, task, dir, format);
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

void run_export(const ExportFlags& own) {
  install_interrupt_handlers();
  const train::ExportOptions options{.format = kFormats.at(own.format), .pad_rank = own.pad_rank};
  if (own.pad_rank && options.format == train::ExportFormat::kMerged) {
    throw Error(ErrorKind::kUsage,
                {.where = "--pad-rank", .problem = "a merged model has no rank", .expected = "--format peft or gguf"});
  }
  const train::OpenRun run = train::open_run(own.run, {.base = own.base, .without_weights = true});
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
  for (const std::string& task : tasks) {
    const std::filesystem::path dir = std::filesystem::path(own.to) / task;
    throw_if_interrupted();
    train::export_task(run, task, dir, options);
    std::printf("%s\n", dir.c_str());
    if (own.check) check(run, task, dir, options.format);
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
  verb->add_option("--to", own->to, "directory that gets one directory a task")->required();
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
  verb->add_option("--base", own->base, "the base model, where it isn't where it was");
  verb->callback([own] { run_export(*own); });
}

}  // namespace moelora::app
