// The methods that have adapters, as tests that hold for each of them go through them.
#pragma once

#include <string>
#include <vector>

#include "config/method.h"

namespace moelora::testing {

struct MethodCase {
  std::string name;
  config::Method method = config::Method::kMoelora;
  config::GateScope scope = config::GateScope::kShared;
  config::GateNormalise normalise = config::GateNormalise::kSumOne;

  void apply_to(config::AdapterConfig& adapter) const {
    adapter.method = method;
    adapter.gate.scope = scope;
    adapter.gate.normalise = normalise;
  }
  /// molora's weights change from token to token.
  bool collapses() const { return method != config::Method::kMolora; }
  /// With `eval.best: per_task`.
  bool takes_own_steps() const { return collapses() && !config::is_made_of_runs(method); }
};

inline const std::vector<MethodCase> kMethods = {
    {"lora", config::Method::kLora},
    {"lora_task_prompt", config::Method::kLoraTaskPrompt},
    {"uniform", config::Method::kUniform},
    {"moelora"},
    {"moelora_mean_one", config::Method::kMoelora, config::GateScope::kShared, config::GateNormalise::kMeanOne},
    {"per_layer", config::Method::kMoelora, config::GateScope::kPerLayer},
    {"per_layer_mean_one", config::Method::kMoelora, config::GateScope::kPerLayer, config::GateNormalise::kMeanOne},
    {"molora", config::Method::kMolora},
    {"molora_mean_one", config::Method::kMolora, config::GateScope::kShared, config::GateNormalise::kMeanOne},
    {"lora_per_task", config::Method::kLoraPerTask},
    {"lorahub", config::Method::kLoraHub},
    {"task_arithmetic", config::Method::kTaskArithmetic}};

}  // namespace moelora::testing
