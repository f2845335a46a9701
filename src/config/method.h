// Groups of methods that share a treatment.
#pragma once

#include "config/run_config.h"

namespace moelora::config {

/// Whether `adapter.experts` divides the rank into experts.
constexpr bool mixes_experts(Method method) {
  return method == Method::kMoelora || method == Method::kUniform || method == Method::kMolora;
}

/// Whether the method is made of several runs, one LoRA a task, instead of being trained as one.
constexpr bool is_made_of_runs(Method method) {
  return method == Method::kLoraPerTask || method == Method::kLoraHub || method == Method::kTaskArithmetic;
}

/// Whether each adapted linear has a gate of its own that sees the task.
inline bool has_gate_per_layer(const AdapterConfig& adapter) {
  return adapter.method == Method::kMoelora && adapter.gate.scope == GateScope::kPerLayer;
}

}  // namespace moelora::config
