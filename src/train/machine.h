// What decides a run's last bits beside its configuration: dtype, threads, what is recomputed (the order in which a
// shared gate's gradients are added), how weights lie (that in which a product is summed) and instruction set, as they
// were resolved on this machine.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "config/run_config.h"

namespace moelora::train {

struct Machine {
  std::string dtype;  // of base weights and activations: "float32" or "bfloat16"
  int64_t threads = 0;
  std::string recompute;      // "none", "mlp", "full"
  std::string weight_layout;  // "plain", "packed"
  std::string instructions;   // kernels::cpu_level_name

  nlohmann::json to_json() const;
};

/// The threads of a run: train.threads, or all cores that there are.
int64_t threads_of(const config::TrainConfig& config);
/// Makes them this process's.
void use_threads(const config::TrainConfig& config);

/// What this process uses for `config`.
Machine this_machine(const config::RunConfig& config);

/// `config` with train.dtype and train.threads as they are used here instead of `auto` and 0.
config::RunConfig resolved(const config::RunConfig& config);

/// Logs a warning naming what differs between `stored` (to_json(); nothing for what it lacks) and this process:
/// `consequence` follows.
void warn_of_another_machine(const nlohmann::json& stored, const Machine& own, const std::string& consequence);

}  // namespace moelora::train
