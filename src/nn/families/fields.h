// Checked reading of config.json fields, shared by the families.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nn/model_config.h"

namespace moelora::nn {

/// Bounds far above any real model, under which counts of parameters and bytes don't overflow and nothing is allocated
/// by a number that a file merely claims.
inline constexpr int64_t kMostSize = int64_t{1} << 22;
inline constexpr int64_t kMostLayers = 10'000;
inline constexpr int64_t kMostPositions = int64_t{1} << 31;

/// A value for messages: at most 60 characters of its JSON, in ASCII.
std::string shown(const nlohmann::json& value);

/// A config.json and its name. Every getter throws Error (kModel) naming file and field.
class Fields {
 public:
  Fields(const nlohmann::json& config, std::string where) : config_(config), where_(std::move(where)) {}

  bool has(const std::string& key) const { return config_.contains(key) && !config_.at(key).is_null(); }
  int64_t positive(const std::string& key, int64_t most = kMostSize) const;
  int64_t positive_or(const std::string& key, int64_t fallback, int64_t most = kMostSize) const {
    return has(key) ? positive(key, most) : fallback;
  }
  double number_or(const std::string& key, double fallback) const;
  double positive_number_or(const std::string& key, double fallback) const;
  bool flag_or(const std::string& key, bool fallback) const;
  std::string text_or(const std::string& key, const std::string& fallback) const;
  const nlohmann::json& raw() const { return config_; }
  const std::string& where() const { return where_; }

  [[noreturn]] void fail(const std::string& key, const std::string& problem, const std::string& found,
                         const std::string& expected) const;

 private:
  const nlohmann::json& config_;
  std::string where_;
};

/// What every Llama-shaped family has in common: sizes, heads, norm, RoPE, activation (silu only), tied head.
/// `head_dim` is that of a file that names none; 0: hidden_size / heads.
ModelConfig parse_llama_shape(const Fields& fields, int64_t head_dim = 0);

/// Fills `windows`: `window` for the layers that slide, 0 for the rest, by `layer_types` where the file has them, else
/// for layers from `first_sliding` on.
void set_windows(const Fields& fields, ModelConfig& model, int64_t window, int64_t first_sliding);

ModelConfig parse_llama(const Fields& fields);
ModelConfig parse_mistral(const Fields& fields);
ModelConfig parse_qwen2(const Fields& fields);
ModelConfig parse_qwen3(const Fields& fields);

}  // namespace moelora::nn
