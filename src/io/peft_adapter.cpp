#include "io/peft_adapter.h"

#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>

#include "core/durable.h"
#include "core/error.h"
#include "io/json_file.h"
#include "io/peft_names.h"
#include "io/quote.h"
#include "io/tensor_file.h"

namespace moelora::io {
namespace {

[[noreturn]] void refuse(const std::string& module, std::string problem) {
  throw Error(ErrorKind::kInternal,
              {.where = "PEFT adapter, module " + quote_name(module), .problem = std::move(problem)});
}

/// PEFT adapts the modules whose path is a target or ends with ".<target>".
bool is_targeted(const std::string& module, const std::vector<std::string>& targets) {
  return std::any_of(targets.begin(), targets.end(),
                     [&](const std::string& target) { return module == target || module.ends_with("." + target); });
}

void check(const PeftAdapter& adapter) {
  if (adapter.r < 1 || adapter.modules.empty()) refuse("", "rank and modules must not be empty");
  for (const auto& [module, pair] : adapter.modules) {
    if (!is_targeted(module, adapter.target_modules)) refuse(module, "no target module names it");
    if (pair.a.dim() != 2 || pair.b.dim() != 2 || pair.a.size(0) != adapter.r || pair.b.size(1) != adapter.r) {
      refuse(module, "its shapes don't fit the rank " + std::to_string(adapter.r));
    }
    if (pair.a.scalar_type() != at::kFloat || pair.b.scalar_type() != at::kFloat) refuse(module, "not float32");
  }
}

/// Every key that PEFT 0.13 knows and none that it doesn't (it raises for those).
nlohmann::json config_of(const PeftAdapter& adapter) {
  const nlohmann::json null;
  const nlohmann::json empty = nlohmann::json::object();
  return {{"alpha_pattern", empty},
          {"auto_mapping", null},
          {"base_model_name_or_path", adapter.base_model_name_or_path},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"layer_replication", null},
          {"layers_pattern", null},
          {"layers_to_transform", null},
          {"loftq_config", empty},
          {"lora_alpha", adapter.r},
          {"lora_dropout", 0.0},
          {"megatron_config", null},
          {"megatron_core", "megatron.core"},
          {"modules_to_save", null},
          {"peft_type", "LORA"},
          {"r", adapter.r},
          {"rank_pattern", empty},
          {"revision", null},
          {"target_modules", adapter.target_modules},
          {"task_type", "CAUSAL_LM"},
          {"use_dora", false},
          {"use_rslora", false}};
}

}  // namespace

void pad_rank(PeftAdapter& adapter, int64_t rank) {
  const int64_t more = rank - adapter.r;
  if (more < 0) refuse("", "the rank can't shrink");
  for (auto& [module, pair] : adapter.modules) {
    pair.a = at::constant_pad_nd(pair.a, {0, 0, 0, more});
    pair.b = at::constant_pad_nd(pair.b, {0, more});
  }
  adapter.r = rank;
}

void write_peft_adapter(const std::filesystem::path& dir, const PeftAdapter& adapter, FileSystem& file_system) {
  check(adapter);
  NamedTensors tensors;
  for (const auto& [module, pair] : adapter.modules) {
    tensors.emplace_back(std::string(kPeftPrefix) + module + std::string(kPeftSuffixA), pair.a);
    tensors.emplace_back(std::string(kPeftPrefix) + module + std::string(kPeftSuffixB), pair.b);
  }
  DirectoryWriter writer(dir, file_system);
  if (!adapter.readme.empty()) writer.add_file("README.md", adapter.readme);
  DurableFile file = writer.open_file(kPeftWeightsFile);
  write_tensors(tensors, {{"format", "pt"}}, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.finish();
  // Last: without it PEFT loads nothing, should the process be killed meanwhile.
  writer.add_file(kPeftConfigFile, json_text(config_of(adapter), std::string(kPeftConfigFile)));
  writer.commit({{"kind", "peft-adapter"}});
}

}  // namespace moelora::io
