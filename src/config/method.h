// What is particular of each method besides its arithmetic: one line a method, and the questions that everything else
// asks of it. docs/moelora.md has the methods' equations, adapters/mixers.h who weighs the experts in each.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "config/run_config.h"

namespace moelora::config {

enum class Trains {
  kAdapter,      // one adapter, on all tasks
  kLoraPerTask,  // a run for each task, of whose LoRAs the method is made
  kBase,         // the model itself: nothing is attached
};
enum class GateSees { kNothing, kTask, kRow };

struct MethodTraits {
  std::string_view name;  // in a configuration
  Trains trains = Trains::kAdapter;
  bool experts = false;  // `adapter.experts` divides the rank
  GateSees gate = GateSees::kNothing;
  bool task_prompt = false;       // the prompt has a line that names the task
  bool dev_weights = false;       // what it makes of the tasks' LoRAs is decided on their dev rows
  std::string_view no_gate = {};  // what weighs the adapter where no gate does
};

/// In the order of Method.
inline constexpr auto kMethods = std::to_array<MethodTraits>({
    {.name = "moelora", .experts = true, .gate = GateSees::kTask},
    {.name = "uniform", .experts = true, .no_gate = "uniform"},
    {.name = "molora", .experts = true, .gate = GateSees::kRow},
    {.name = "lora", .no_gate = "plain LoRA"},
    {.name = "lora_task_prompt", .task_prompt = true, .no_gate = "plain LoRA"},
    {.name = "lora_per_task", .trains = Trains::kLoraPerTask, .no_gate = "weights of the tasks' LoRAs"},
    {.name = "lorahub", .trains = Trains::kLoraPerTask, .dev_weights = true, .no_gate = "weights of the tasks' LoRAs"},
    {.name = "task_arithmetic",
     .trains = Trains::kLoraPerTask,
     .dev_weights = true,
     .no_gate = "weights of the tasks' LoRAs"},
    {.name = "full", .trains = Trains::kBase},
});
static_assert(kMethods.size() == static_cast<size_t>(Method::kFull) + 1);

constexpr const MethodTraits& traits(Method method) {
  return kMethods[static_cast<size_t>(method)];
}

/// Whether `adapter.experts` divides the rank into experts.
constexpr bool mixes_experts(Method method) {
  return traits(method).experts;
}

/// Whether the method is made of several runs, one LoRA a task, instead of being trained as one.
constexpr bool is_made_of_runs(Method method) {
  return traits(method).trains == Trains::kLoraPerTask;
}

/// Whether dev rows of each task decide what becomes of the tasks' LoRAs.
constexpr bool finds_weights_on_dev_rows(Method method) {
  return traits(method).dev_weights;
}

/// Whether a task's adapter holds what that task's data taught, and nothing of the others'.
constexpr bool keeps_tasks_apart(Method method) {
  return is_made_of_runs(method) && !finds_weights_on_dev_rows(method);
}

/// Whether one adapter is trained, which may start from another (`adapter.start`).
constexpr bool trains_one_adapter(Method method) {
  return traits(method).trains == Trains::kAdapter;
}

constexpr bool trains_base(Method method) {
  return traits(method).trains == Trains::kBase;
}

/// Whether a gate gives each task weights of its own.
constexpr bool has_task_gate(Method method) {
  return traits(method).gate == GateSees::kTask;
}

/// Whether each task has an adapter of its own in what is trained: what collapses, merges and is exported.
constexpr bool is_linear_in_the_task(Method method) {
  return !trains_base(method) && traits(method).gate != GateSees::kRow;
}

/// Whether each adapted linear has a gate of its own that sees the task.
inline bool has_gate_per_layer(const AdapterConfig& adapter) {
  return has_task_gate(adapter.method) && adapter.gate.scope == GateScope::kPerLayer;
}

/// Whether the experts' weights sum to 1 over them, so that each of N counts 1 / N at the start; else each counts 1.
inline bool experts_share_one(const AdapterConfig& adapter) {
  if (!mixes_experts(adapter.method)) return false;
  return traits(adapter.method).gate == GateSees::kNothing || adapter.gate.normalise == GateNormalise::kSumOne;
}

}  // namespace moelora::config
