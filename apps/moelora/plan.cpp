// moelora plan CONFIG.yaml
#include "train/plan.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "bench/shapes.h"
#include "config/enum_names.h"
#include "config/load.h"
#include "core/error.h"
#include "core/suggest.h"
#include "train/machine.h"
#include "train/progress.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct PlanFlags {
  std::string config;
  std::string shape;
  bool json = false;
};

double gib(int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 30);
}

void print_trained(const train::Plan& plan) {
  std::printf("trained parameters    %14lld  (%.3f %%)\n", static_cast<long long>(plan.trained_parameters),
              100.0 * static_cast<double>(plan.trained_parameters) / static_cast<double>(plan.base_parameters));
  std::printf("                      = %s\n", plan.trained_parameters_formula.c_str());
  std::printf("                        %s\n", plan.trained_parameters_letters.c_str());
}

/// A published model's shape in every form that its linears can be kept in, beside each other.
void plan_forms(const PlanFlags& own, const std::vector<std::string>& overrides) {
  config::RunConfig config =
      config::parse_config("model: " + own.shape + "\ndata: {sources: [none]}\noutput: none\n", "plan", overrides);
  const nn::ModelConfig shape = bench::shape(own.shape);
  train::use_threads(config.train);
  nlohmann::ordered_json json;
  train::Plan last;  // whose count is that of all
  if (!own.json) {
    std::printf("%-14s %10s %10s %12s %10s %10s %10s\n", "quantization", "weights", "optimizer", "activations",
                "together", "GFLOP/s", "tokens/s");
  }
  for (const std::string& form : config::enum_names(config::Quantization{})) {
    config.quantization = *config::from_name<config::Quantization>(form);
    const train::Plan plan = train::plan_shape(config, shape, {});
    json[form] = train::plan_json(plan);
    last = plan;
    if (own.json) continue;
    std::printf("%-14s %6.2f GiB %6.2f GiB %8.2f GiB %6.2f GiB %10.0f %10.1f\n", form.c_str(), gib(plan.weight_bytes),
                gib(plan.optimizer_bytes), gib(plan.activation_bytes),
                gib(plan.weight_bytes + plan.optimizer_bytes + plan.activation_bytes), plan.gflops, plan.tokens_per_s);
  }
  if (own.json) {
    std::cout << json.dump(2) << "\n";
  } else {
    print_trained(last);
  }
}

void run_plan(const PlanFlags& own, const std::vector<std::string>& overrides) {
  if (own.config.empty() == own.shape.empty()) {
    throw Error(ErrorKind::kUsage, {.where = "plan",
                                    .problem = own.shape.empty() ? "nothing to plan" : "two things to plan",
                                    .expected = "a configuration, or --shape"});
  }
  if (!own.shape.empty()) return plan_forms(own, overrides);
  const train::RunSetup setup = train::prepare_data(config::load_config(own.config, overrides));
  const train::Plan plan = train::plan_run(setup);
  if (own.json) {
    std::cout << train::plan_json(plan).dump(2) << "\n";
    return;
  }
  std::printf("base parameters       %14lld\n", static_cast<long long>(plan.base_parameters));
  print_trained(plan);
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
  CLI::App* verb =
      add_verb(app, "plan", "parameters, memory, steps and time of a run, without loading weights",
               "moelora plan config.yaml\n  moelora plan --shape qwen2.5-7b --train.tokens_per_batch=2048");
  const auto own = std::make_shared<PlanFlags>();
  verb->add_option("config", own->config, "configuration (docs/config.md)");
  verb->add_option("--shape", own->shape,
                   "instead of a configuration: a published model's shape in bf16, int8 and NF4 beside each other, for "
                   "eight tasks and a quarter of the tokens supervised: " +
                       list_names(bench::shape_names()));
  verb->add_flag("--json", own->json, "print JSON instead of a table");
  verb->allow_extras();
  verb->callback([verb, own] { run_plan(*own, config_overrides(*verb)); });
}

}  // namespace moelora::app
