#include "train/machine.h"

#include <ATen/Parallel.h>

#include "config/enum_names.h"
#include "core/log.h"
#include "core/threads.h"
#include "kernels/cpu.h"
#include "train/setup.h"

namespace moelora::train {

nlohmann::json Machine::to_json() const {
  return {{"dtype", dtype},
          {"threads", threads},
          {"recompute", recompute},
          {"weight_layout", weight_layout},
          {"instructions", instructions}};
}

int64_t threads_of(const config::TrainConfig& config) {
  return config.threads > 0 ? config.threads : usable_cores();
}

void use_threads(const config::TrainConfig& config) {
  at::set_num_threads(static_cast<int>(threads_of(config)));
}

Machine this_machine(const config::RunConfig& config) {
  return {.dtype = compute_dtype(config.train.dtype) == at::kFloat ? "float32" : "bfloat16",
          .threads = threads_of(config.train),
          .recompute = config::name_of(config.train.recompute),
          .weight_layout = config::name_of(config.train.weight_layout),
          .instructions = std::string(kernels::cpu_level_name(kernels::cpu_level()))};
}

config::RunConfig resolved(const config::RunConfig& config) {
  config::RunConfig written = config;
  written.train.dtype =
      compute_dtype(config.train.dtype) == at::kFloat ? config::DType::kFloat32 : config::DType::kBFloat16;
  written.train.threads = threads_of(config.train);
  return written;
}

void warn_of_another_machine(const nlohmann::json& stored, const Machine& own, const std::string& consequence) {
  std::string differences;
  const nlohmann::json now = own.to_json();
  for (const auto& [name, value] : now.items()) {
    if (!stored.contains(name) || stored[name] == value) continue;
    const auto text = [](const nlohmann::json& one) { return one.is_string() ? one.get<std::string>() : one.dump(); };
    differences +=
        (differences.empty() ? "" : ", ") + name + " " + text(stored[name]) + " then and " + text(value) + " now";
  }
  if (!differences.empty()) log_warn(differences + ": " + consequence);
}

}  // namespace moelora::train
