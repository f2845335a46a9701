// read_peft_adapter of io/peft_adapter.h.
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>

#include "core/error.h"
#include "io/json_file.h"
#include "io/peft_adapter.h"
#include "io/peft_names.h"
#include "io/quote.h"
#include "io/tensor_file.h"
#include "io/torch_file.h"

namespace moelora::io {
namespace {

using nlohmann::json;

constexpr int64_t kMaxRank = 65536;

/// adapter_config.json with typed, checked access to what matters.
class Config {
 public:
  explicit Config(const std::filesystem::path& path) : path_(path.string()), json_(read_json_object(path)) {}

  [[noreturn]] void refuse(const std::string& key, std::string problem, std::string expected = "") const {
    throw key_error(path_, json_, key, std::move(problem), std::move(expected));
  }

  std::string string(const std::string& key) const {
    const auto value = json_.find(key);
    if (value == json_.end() || value->is_null()) return "";
    if (!value->is_string()) refuse(key, "not a string");
    return value->get<std::string>();
  }

  bool boolean(const std::string& key) const {
    const auto value = json_.find(key);
    if (value == json_.end() || value->is_null()) return false;
    if (!value->is_boolean()) refuse(key, "not a boolean");
    return value->get<bool>();
  }

  int64_t rank() const {
    const auto value = json_.find("r");
    if (value == json_.end() || !value->is_number_integer() || *value < 1 || *value > kMaxRank) {
      refuse("r", "not a rank", "a whole number from 1 to " + std::to_string(kMaxRank));
    }
    return value->get<int64_t>();
  }

  double alpha() const {
    const auto value = json_.find("lora_alpha");
    if (value == json_.end() || !value->is_number() || !std::isfinite(value->get<double>())) {
      refuse("lora_alpha", "not a number");
    }
    return value->get<double>();
  }

  /// What makes the update other than (alpha / r) B A.
  void check_plain() const {
    if (string("peft_type") != "LORA") refuse("peft_type", "not a LoRA adapter", "\"LORA\"");
    for (const char* key : {"use_dora", "lora_bias", "fan_in_fan_out", "use_qalora"}) {
      if (boolean(key)) refuse(key, "not supported", "false");
    }
    if (const std::string bias = string("bias"); !bias.empty() && bias != "none")
      refuse("bias", "not supported", "\"none\"");
    for (const char* key : {"rank_pattern", "alpha_pattern", "modules_to_save", "layer_replication",
                            "target_parameters", "trainable_token_indices", "alora_invocation_tokens"}) {
      const auto value = json_.find(key);
      if (value != json_.end() && !value->empty()) refuse(key, "not supported", "null or empty");
    }
    // The others (pissa, olora, loftq, …) change the base's weights as well.
    const auto init = json_.find("init_lora_weights");
    if (init == json_.end() || init->is_boolean()) return;
    constexpr std::array<std::string_view, 3> kHarmless = {"gaussian", "eva", "orthogonal"};
    if (!init->is_string() ||
        std::find(kHarmless.begin(), kHarmless.end(), init->get<std::string>()) == kHarmless.end()) {
      refuse("init_lora_weights", "this initialisation changes the base, which isn't supported", "true or false");
    }
  }

  /// The list as it is; for a pattern ("all-linear", a regular expression), the last parts of the adapted modules'
  /// paths.
  std::vector<std::string> targets(const std::map<std::string, LoraPair>& modules) const {
    const auto value = json_.find("target_modules");
    std::set<std::string> targets;
    if (value != json_.end() && value->is_array()) {
      for (const json& target : *value) {
        if (!target.is_string()) refuse("target_modules", "not a list of strings");
        targets.insert(target.get<std::string>());
      }
    } else {
      for (const auto& [module, pair] : modules) targets.insert(module.substr(module.rfind('.') + 1));
    }
    return {targets.begin(), targets.end()};
  }

 private:
  std::string path_;
  json json_;
};

void check_pair(const std::string& path, const std::string& module, const LoraPair& pair, int64_t r) {
  const std::string where = path + ", module " + quote_name(module);
  if (!pair.a.defined() || !pair.b.defined()) {
    throw Error(ErrorKind::kModel,
                {.where = where, .problem = std::string("no lora_") + (pair.a.defined() ? "B" : "A") + " for it"});
  }
  if (pair.a.dim() != 2 || pair.b.dim() != 2 || pair.a.size(0) != r || pair.b.size(1) != r) {
    throw Error(ErrorKind::kModel,
                {.where = where,
                 .problem = "the shapes of lora_A and lora_B don't fit the rank",
                 .expected = "[" + std::to_string(r) + ", in] and [out, " + std::to_string(r) + "]"});
  }
}

}  // namespace

std::filesystem::path peft_weights_file(const std::filesystem::path& dir) {
  for (const std::string_view name : {kPeftWeightsFile, kPeftOldWeightsFile}) {
    if (std::filesystem::exists(dir / name)) return dir / name;
  }
  throw Error(ErrorKind::kModel,
              {.where = dir.string(),
               .problem = "the adapter's weights are missing",
               .expected = std::string(kPeftWeightsFile) + " or " + std::string(kPeftOldWeightsFile)});
}

NamedTensors read_peft_weights(const std::filesystem::path& file) {
  if (file.extension() == ".bin") return read_torch_file(file);
  const auto opened = SafetensorsFile::open(file);
  NamedTensors tensors;
  for (const std::string& name : opened->names()) tensors.emplace_back(name, tensor_of(opened, name, at::kFloat));
  return tensors;
}

PeftAdapter read_peft_adapter(const std::filesystem::path& dir) {
  const Config config(dir / kPeftConfigFile);
  config.check_plain();
  PeftAdapter adapter{.r = config.rank(), .base_model_name_or_path = config.string("base_model_name_or_path")};
  const double r = static_cast<double>(adapter.r);
  const double scale = config.alpha() / (config.boolean("use_rslora") ? std::sqrt(r) : r);

  const std::filesystem::path file = peft_weights_file(dir);
  for (const auto& [name, tensor] : read_peft_weights(file)) {
    const bool is_a = name.ends_with(kPeftSuffixA);
    const size_t affixes = kPeftPrefix.size() + (is_a ? kPeftSuffixA : kPeftSuffixB).size();
    if (!name.starts_with(kPeftPrefix) || !(is_a || name.ends_with(kPeftSuffixB)) || name.size() <= affixes) {
      throw Error(ErrorKind::kModel, {.where = tensor_place(file.string(), name),
                                      .problem = "not a tensor of a plain LoRA adapter",
                                      .expected = "base_model.model.<module>.lora_A.weight or .lora_B.weight"});
    }
    const std::string module = name.substr(kPeftPrefix.size(), name.size() - affixes);
    LoraPair& pair = adapter.modules[module];
    (is_a ? pair.a : pair.b) = is_a || scale == 1.0 ? tensor : tensor.mul(scale);
  }
  if (adapter.modules.empty()) throw Error(ErrorKind::kModel, {.where = file.string(), .problem = "no tensors"});
  for (const auto& [module, pair] : adapter.modules) check_pair(file.string(), module, pair, adapter.r);
  adapter.target_modules = config.targets(adapter.modules);

  std::error_code error;
  if (std::filesystem::is_regular_file(dir / "README.md", error)) {
    std::ifstream readme(dir / "README.md", std::ios::binary);
    adapter.readme.assign(std::istreambuf_iterator<char>(readme), {});
  }
  return adapter;
}

}  // namespace moelora::io
