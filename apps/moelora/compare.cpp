// moelora compare SPEC.yaml
#include <cstdio>
#include <memory>

#include "compare/report.h"
#include "compare/runner.h"
#include "core/interrupt.h"
#include "eval/evaluator.h"
#include "verbs.h"

namespace moelora::app {
namespace {

void run_compare(const std::string& path, const GlobalFlags& flags) {
  install_interrupt_handlers();
  const config::CompareSpec spec = config::load_compare_spec(path);
  const compare::Comparison comparison = compare::run_comparison(
      spec, {.quiet = flags.quiet, .dev_scores = [](const train::RunSetup& run) {
               const eval::EvaluateOptions evaluate{.eval = run.config.eval, .seed = run.config.train.seed};
               return eval::task_scores(
                   eval::evaluate(run.model, run.dataset, data::Split::kDev, *run.renderer, evaluate).report);
             }});
  std::printf("%s\n%lld runs computed, %lld known; %s/report.{md,json,html}\n",
              compare::write_comparison(comparison, spec.output).c_str(), static_cast<long long>(comparison.computed),
              static_cast<long long>(comparison.known), spec.output.c_str());
}

}  // namespace

void add_compare(CLI::App& app, const GlobalFlags& flags) {
  CLI::App* verb =
      add_verb(app, "compare", "methods beside each other: runs what has no result yet, and reports with error bars",
               "moelora compare compare.yaml      (again after an interruption: it goes on)");
  const auto path = std::make_shared<std::string>();
  verb->add_option("spec", *path, "what is compared (docs/compare.md)")->required();
  verb->callback([path, &flags] { run_compare(*path, flags); });
}

}  // namespace moelora::app
