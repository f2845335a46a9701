// moelora plan CONFIG.yaml
#include "train/plan.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "config/load.h"
#include "train/progress.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct PlanFlags {
  std::string config;
  bool json = false;
};

void run_plan(const PlanFlags& own, const std::vector<std::string>& overrides) {
  const train::RunSetup setup = train::prepare_data(config::load_config(own.config, overrides));
  const train::Plan plan = train::plan_run(setup);
  if (own.json) {
    std::cout << train::plan_json(plan).dump(2) << "\n";
    return;
  }
  const auto gib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
  std::printf("base parameters       %14lld\n", static_cast<long long>(plan.base_parameters));
  std::printf("trained parameters    %14lld  (%.3f %%)\n", static_cast<long long>(plan.trained_parameters),
              100.0 * static_cast<double>(plan.trained_parameters) / static_cast<double>(plan.base_parameters));
  std::printf("memory: weights       %14.2f GiB\n", gib(plan.weight_bytes));
  std::printf("        optimizer     %14.2f GiB  (masters, gradients, moments)\n", gib(plan.optimizer_bytes));
  std::printf("        activations   %14.2f GiB  (of one micro-batch)\n", gib(plan.activation_bytes));
  std::printf("        together      %14.2f GiB\n",
              gib(plan.weight_bytes + plan.optimizer_bytes + plan.activation_bytes));
  std::printf("optimizer steps       %14lld\n", static_cast<long long>(plan.steps));
  std::printf("tokens per step       %14.0f\n", plan.tokens_per_step);
  std::printf("time                  %14s  (at %.0f GFLOP/s, measured now)\n",
              train::format_duration(plan.seconds).c_str(), plan.gflops);
}

}  // namespace

void add_plan(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(app, "plan", "parameters, memory, steps and time of a run, without loading weights",
                            "moelora plan config.yaml");
  const auto own = std::make_shared<PlanFlags>();
  verb->add_option("config", own->config, "configuration (docs/config.md)")->required();
  verb->add_flag("--json", own->json, "print JSON instead of a table");
  verb->allow_extras();
  verb->callback([verb, own] { run_plan(*own, config_overrides(*verb)); });
}

}  // namespace moelora::app
