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
  /// 0 where the file has null, `fallback` where it has nothing.
  double positive_number_or_none(const std::string& key, double fallback = 0) const;
  bool flag_or(const std::string& key, bool fallback) const;
  std::string text_or(const std::string& key, const std::string& fallback) const;
  /// `key` as `count` positive numbers.
  std::vector<double> positive_numbers(const std::string& key, int64_t count) const;
  /// The object at `key`, errors naming both.
  Fields object(const std::string& key) const;
  const nlohmann::json& raw() const { return config_; }
  const std::string& where() const { return where_; }

  [[noreturn]] void fail(const std::string& key, const std::string& problem, const std::string& found,
                         const std::string& expected) const;

 private:
  const nlohmann::json& config_;
  std::string where_;
};

/// How a family spells what Llama-shaped families have in common.
struct ShapeOptions {
  const char* activation_key = "hidden_act";
  Activation activation = Activation::kSilu;  // the only one the family has
  double rotated_share = 1;                   // where the file has no `partial_rotary_factor`
  bool partial_rotary = false;                // `partial_rotary_factor` may differ from 1
  double norm_epsilon = 1e-6;                 // where the file has no `rms_norm_eps`
  int64_t head_dim = 0;                       // where the file has no `head_dim`; 0: hidden_size / heads
};

/// What every Llama-shaped family has in common: sizes, heads, norm, RoPE, activation, tied head.
ModelConfig parse_llama_shape(const Fields& fields, const ShapeOptions& options = {});

/// One object of rope parameters, on top of `rope`. `model` gives head size and context, which "longrope" bounds to the
/// positions its short factors are for. Every head rotates whole unless `partial_rotary`.
RopeConfig parse_rope_object(const Fields& fields, RopeConfig rope, ModelConfig& model, bool partial_rotary = false);

/// Fills `windows`: `window` for the layers that slide, 0 for the rest, by `layer_types` where the file has them, else
/// for layers from `first_sliding` on.
void set_windows(const Fields& fields, ModelConfig& model, int64_t window, int64_t first_sliding);

/// As Qwen2 and Qwen3 have them: only where `use_sliding_window` says so.
void set_qwen_windows(const Fields& fields, ModelConfig& model);

ModelConfig parse_baichuan(const Fields& fields);
ModelConfig parse_chatglm(const Fields& fields);
ModelConfig parse_gemma2(const Fields& fields);
ModelConfig parse_gemma3(const Fields& fields);
ModelConfig parse_gemma3_text(const Fields& fields);
ModelConfig parse_glm(const Fields& fields);
ModelConfig parse_glm4(const Fields& fields);
ModelConfig parse_internlm2(const Fields& fields);
ModelConfig parse_llama(const Fields& fields);
ModelConfig parse_mistral(const Fields& fields);
ModelConfig parse_phi3(const Fields& fields);
ModelConfig parse_qwen2(const Fields& fields);
ModelConfig parse_qwen3(const Fields& fields);

}  // namespace moelora::nn
