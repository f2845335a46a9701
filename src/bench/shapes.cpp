#include "bench/shapes.h"

#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/suggest.h"

namespace moelora::bench {
namespace {

using nlohmann::json;

/// What the models' own config.json say. `tiny` is the benchmark's, for trying things out.
const std::map<std::string, json>& configs() {
  const auto qwen2 = [](int hidden, int mlp, int layers, int heads, int kv_heads, int vocabulary, bool tied) {
    return json{{"model_type", "qwen2"},
                {"hidden_size", hidden},
                {"intermediate_size", mlp},
                {"num_hidden_layers", layers},
                {"num_attention_heads", heads},
                {"num_key_value_heads", kv_heads},
                {"vocab_size", vocabulary},
                {"tie_word_embeddings", tied},
                {"max_position_embeddings", 32768},
                {"rms_norm_eps", 1e-6},
                {"rope_theta", 1e6},
                {"hidden_act", "silu"}};
  };
  static const std::map<std::string, json> kConfigs = {
      {"tiny", qwen2(256, 1024, 4, 8, 4, 4096, true)},
      {"qwen2.5-0.5b", qwen2(896, 4864, 24, 14, 2, 151936, true)},
      {"qwen2.5-1.5b", qwen2(1536, 8960, 28, 12, 2, 151936, true)},
      {"qwen2.5-3b", qwen2(2048, 11008, 36, 16, 2, 151936, true)},
      {"qwen2.5-7b", qwen2(3584, 18944, 28, 28, 4, 152064, false)},
      {"llama-3.1-8b",
       {{"model_type", "llama"},
        {"hidden_size", 4096},
        {"intermediate_size", 14336},
        {"num_hidden_layers", 32},
        {"num_attention_heads", 32},
        {"num_key_value_heads", 8},
        {"vocab_size", 128256},
        {"tie_word_embeddings", false},
        {"max_position_embeddings", 131072},
        {"rms_norm_eps", 1e-5},
        {"rope_theta", 5e5},
        {"hidden_act", "silu"}}},
  };
  return kConfigs;
}

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const auto& [name, config] : configs()) names.push_back(name);
  return names;
}

nn::ModelConfig shape(const std::string& name) {
  const auto found = configs().find(name);
  if (found == configs().end()) {
    throw Error(ErrorKind::kUsage, {.where = "--shape",
                                    .problem = "unknown shape",
                                    .found = name,
                                    .expected = list_names(shape_names()),
                                    .hint = did_you_mean(name, shape_names())});
  }
  return nn::parse_model_config(found->second, "shape " + name);
}

}  // namespace moelora::bench
