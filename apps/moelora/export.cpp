// moelora export RUN --to DIR
#include <cstdio>
#include <filesystem>
#include <memory>

#include "core/error.h"
#include "train/export_peft.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct ExportFlags {
  std::string run;
  std::string to;
  std::vector<std::string> tasks;
  std::string base;
};

void run_export(const ExportFlags& own) {
  const train::OpenRun run = train::open_run(own.run, {.base = own.base});
  const std::vector<std::string> tasks = own.tasks.empty() ? run.saved.task_names() : own.tasks;
  for (const std::string& task : tasks) run.task_index(task);
  for (const std::string& task : tasks) {
    const std::filesystem::path dir = std::filesystem::path(own.to) / task;
    if (std::filesystem::exists(dir)) {
      throw Error(ErrorKind::kIo, {.where = dir.string(), .problem = "exists already", .hint = "give another directory with --to"});
    }
  }
  for (const std::string& task : tasks) {
    const std::filesystem::path dir = std::filesystem::path(own.to) / task;
    train::export_peft(run, task, dir);
    std::printf("%s\n", dir.c_str());
  }
}

}  // namespace

void add_export(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(app, "export", "one ordinary PEFT LoRA directory per task, collapsed exactly",
                            "moelora export runs/medical --to adapters --task report");
  const auto own = std::make_shared<ExportFlags>();
  verb->add_option("run", own->run, "run directory")->required();
  verb->add_option("--to", own->to, "directory that gets one directory a task")->required();
  verb->add_option("--task", own->tasks, "only this task (may be repeated)");
  verb->add_option("--base", own->base, "the base model, where it isn't where it was");
  verb->callback([own] { run_export(*own); });
}

}  // namespace moelora::app
