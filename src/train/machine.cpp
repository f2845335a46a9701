#include "train/machine.h"

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

Machine this_machine(const config::RunConfig& config) {
  return {.dtype = compute_dtype(config.train.dtype) == at::kFloat ? "float32" : "bfloat16",
          .threads = config.train.threads > 0 ? config.train.threads : usable_cores(),
          .recompute = config::name_of(config.train.recompute),
          .weight_layout = config::name_of(config.train.weight_layout),
          .instructions = std::string(kernels::cpu_level_name(kernels::cpu_level()))};
}

config::RunConfig resolved(const config::RunConfig& config) {
  config::RunConfig written = config;
  written.train.dtype =
      compute_dtype(config.train.dtype) == at::kFloat ? config::DType::kFloat32 : config::DType::kBFloat16;
  written.train.threads = this_machine(config).threads;
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
