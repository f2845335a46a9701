// moelora adapt RUN --task NEW
#include "train/adapt.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "core/file_system.h"
#include "core/interrupt.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct AdaptFlags {
  std::filesystem::path run;
  std::string data;
  std::string to;
  std::string search = "gradient";
  train::AdaptOptions options;
};

/// RUN-TASK, by the run's own name, whichever way it is named: `.` or `..` too.
std::filesystem::path beside(const std::filesystem::path& run, const std::string& task) {
  const std::filesystem::path to = without_slash(std::filesystem::absolute(run)).string() + "-" + task;
  return run.is_absolute() ? to : to.lexically_proximate(std::filesystem::current_path());
}

void run_adapt(AdaptFlags& own) {
  install_interrupt_handlers();
  own.options.data = own.data;
  if (own.to.empty()) own.to = beside(own.run, own.options.task).string();
  own.options.to = own.to;
  own.options.gradient = own.search == "gradient";
  const train::AdaptResult result = train::adapt(own.run, own.options);
  std::printf("%-24s %s\n", "expert", "weight");
  for (size_t n = 0; n < result.weights.size(); ++n) std::printf("%-24zu %.4f\n", n + 1, result.weights[n]);
  for (const auto& [task, loss] : result.losses) std::printf("loss with %-14s %.4f\n", task.c_str(), loss);
  if (result.loss) std::printf("loss %-19s %.4f\n", "of the result", *result.loss);
  std::printf("from %s; result: %s\n", result.start.c_str(), own.to.c_str());
}

}  // namespace

void add_adapt(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(
      app, "adapt", "a new task for a finished run, from a few labelled rows, without training the adapter",
      "moelora adapt runs/medical --task triage --data few.jsonl      (the new run: runs/medical-triage)\n"
      "  moelora adapt runs/medical --task triage --data few.jsonl --to runs/triage --tasks.triage.metric=accuracy\n"
      "  moelora adapt runs/medical --task triage --weights uniform --to runs/triage");
  const auto own = std::make_shared<AdaptFlags>();
  verb->add_option("run", own->run, "run directory of method `moelora`")->required();
  verb->add_option("--task", own->options.task, "the new task's name")->required();
  verb->add_option("--data", own->data,
                   "its labelled rows: a file, or a directory {train,dev,test}.jsonl of which train is read");
  CLI::Option* weights = verb->add_option(
      "--weights", own->options.weights,
      "no search: `uniform`, `nearest` (the known task of the lowest loss on the rows), a known task, or "
      "a number for each expert");
  verb->add_option("--search", own->search, "how the weights are found")
      ->check(CLI::IsMember({"gradient", "evolution"}))
      ->capture_default_str()
      ->excludes(weights);
  verb->add_option("--steps", own->options.steps, "of the search")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str()
      ->excludes(weights);
  CLI::Option* rate = verb->add_option("--learning-rate", own->options.learning_rate, "of the gradient's search")
                          ->check(CLI::PositiveNumber)
                          ->capture_default_str()
                          ->excludes(weights);
  verb->add_option("--to", own->to, "directory of the new run, which must not exist; else RUN-TASK");
  verb->add_option("--base", own->options.base, "the base model, where it isn't where it was");
  verb->allow_extras();
  verb->callback([verb, rate, own] {
    if (rate->count() > 0 && own->search != "gradient") {
      throw Error(ErrorKind::kUsage, {.where = "--learning-rate",
                                      .problem = "a search without gradients has none",
                                      .expected = "--search gradient, or no --learning-rate"});
    }
    const std::string example = "a key of the new task like --tasks." + own->options.task + ".metric=accuracy";
    own->options.overrides = config_overrides(*verb, example);
    for (const std::string& text : own->options.overrides) {
      if (!text.starts_with("tasks.")) throw_unknown_argument(*verb, "--" + text, example);
    }
    run_adapt(*own);
  });
}

}  // namespace moelora::app
