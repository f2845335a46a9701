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

}  // namespace moelora::config
