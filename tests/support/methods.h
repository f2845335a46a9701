// The methods that have adapters, as tests that hold for each of them go through them.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "config/method.h"

namespace moelora::testing {

struct MethodCase {
  std::string name;
  config::Method method = config::Method::kMoelora;
  config::GateScope scope = config::GateScope::kShared;
  config::GateNormalise normalise = config::GateNormalise::kSumOne;
  bool own_steps = false;  // eval.best: per_task

  void apply_to(config::AdapterConfig& adapter) const {
    adapter.method = method;
    adapter.gate.scope = scope;
    adapter.gate.normalise = normalise;
  }
  /// molora's weights change from token to token.
  bool collapses() const { return config::is_linear_in_the_task(method); }
};

inline std::ostream& operator<<(std::ostream& out, const MethodCase& tested) {
  return out << tested.name;
}

/// Each of config::kMethods but `full` (tests/adapters/method_oracle_test.cpp asks for all).
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

/// Those, and tasks at best steps of their own of the methods that have them. Their table of weights knows nothing of
/// how a gate normalised them.
inline std::vector<MethodCase> methods_and_own_steps() {
  std::vector<MethodCase> all = kMethods;
  for (MethodCase own : kMethods) {
    if (!own.collapses() || config::is_made_of_runs(own.method) || own.normalise != config::GateNormalise::kSumOne)
      continue;
    own.name += "_own_steps";
    own.own_steps = true;
    all.push_back(own);
  }
  return all;
}

}  // namespace moelora::testing
