#include "nn/families/fields.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace moelora::nn {

std::string shown(const nlohmann::json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/true).substr(0, 60);
}

void Fields::fail(const std::string& key, const std::string& problem, const std::string& found,
                  const std::string& expected) const {
  throw Error(ErrorKind::kModel,
              {.where = where_ + ": `" + key + "`", .problem = problem, .found = found, .expected = expected});
}

int64_t Fields::positive(const std::string& key, int64_t most) const {
  const std::string expected = "a positive integer, at most " + std::to_string(most);
  if (!has(key)) fail(key, "field is missing", "", expected);
  const nlohmann::json& value = config_.at(key);
  if (!value.is_number_integer() || value.get<int64_t>() <= 0 || value.get<int64_t>() > most) {
    fail(key, "invalid value", shown(value), expected);
  }
  return value.get<int64_t>();
}

double Fields::number_or(const std::string& key, double fallback) const {
  if (!has(key)) return fallback;
  const nlohmann::json& value = config_.at(key);
  if (!value.is_number() || !std::isfinite(value.get<double>())) fail(key, "invalid value", shown(value), "a number");
  return value.get<double>();
}

double Fields::positive_number_or(const std::string& key, double fallback) const {
  const double value = number_or(key, fallback);
  if (value <= 0) fail(key, "invalid value", shown(config_.at(key)), "a positive number");
  return value;
}

double Fields::positive_number_or_none(const std::string& key, double fallback) const {
  if (has(key)) return positive_number_or(key, 1);
  return config_.contains(key) ? 0 : fallback;
}

bool Fields::flag_or(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  if (!config_.at(key).is_boolean()) fail(key, "invalid value", shown(config_.at(key)), "true or false");
  return config_.at(key).get<bool>();
}

std::string Fields::text_or(const std::string& key, const std::string& fallback) const {
  if (!has(key)) return fallback;
  if (!config_.at(key).is_string()) fail(key, "invalid value", shown(config_.at(key)), "a string");
  return config_.at(key).get<std::string>();
}

std::vector<double> Fields::positive_numbers(const std::string& key, int64_t count) const {
  const std::string expected = std::to_string(count) + " positive numbers";
  if (!has(key)) fail(key, "field is missing", "", expected);
  const nlohmann::json& list = config_.at(key);
  if (!list.is_array() || static_cast<int64_t>(list.size()) != count) {
    fail(key, "wrong length", list.is_array() ? std::to_string(list.size()) : shown(list), expected);
  }
  std::vector<double> numbers;
  for (const nlohmann::json& value : list) {
    if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() <= 0) {
      fail(key, "invalid value", shown(value), expected);
    }
    numbers.push_back(value.get<double>());
  }
  return numbers;
}

Fields Fields::object(const std::string& key) const {
  if (!has(key) || !config_.at(key).is_object()) {
    fail(key, has(key) ? "invalid value" : "field is missing", has(key) ? shown(config_.at(key)) : "", "an object");
  }
  return {config_.at(key), where_ + ": `" + key + "`"};
}

namespace {

/// LongRoPE's short factors (Ding et al. 2024): those of sequences up to the length the model was first trained with,
/// which then is the longest there can be. The magnitude is that of the full context.
void set_longrope(const Fields& fields, RopeConfig& rope, ModelConfig& model) {
  const int64_t positions = fields.positive("original_max_position_embeddings", kMostPositions);
  if (positions == 1) fields.fail("original_max_position_embeddings", "invalid value", "1", "more than 1");
  const auto original = static_cast<double>(positions);
  const double factor = fields.positive_number_or("factor", static_cast<double>(model.max_positions) / original);
  const auto rotated = static_cast<int64_t>(static_cast<double>(model.head_dim) * rope.rotated_share);
  rope.divisors = fields.positive_numbers("short_factor", rotated / 2);
  rope.magnitude = fields.positive_number_or("attention_factor",
                                             factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original)));
  model.max_positions = std::min(model.max_positions, positions);
}

void check_rotated_share(const Fields& fields, double share, int64_t head_dim, bool partial_rotary) {
  if (share == 1) return;
  const std::string key = "partial_rotary_factor", found = nlohmann::json(share).dump();
  if (!partial_rotary) fields.fail(key, "unsupported value", found, "1.0 for this family");
  const double rotated = std::floor(static_cast<double>(head_dim) * share);
  if (!(share > 0 && share < 1) || rotated < 2 || std::fmod(rotated, 2) != 0) {
    fields.fail(key, "invalid value", found, "an even part of head_dim " + std::to_string(head_dim));
  }
}

}  // namespace

RopeConfig parse_rope_object(const Fields& fields, RopeConfig rope, ModelConfig& model, bool partial_rotary) {
  rope.theta = fields.positive_number_or("rope_theta", rope.theta);
  rope.rotated_share = fields.number_or("partial_rotary_factor", rope.rotated_share);
  check_rotated_share(fields, rope.rotated_share, model.head_dim, partial_rotary);
  const std::string type = fields.text_or("rope_type", fields.text_or("type", "default"));
  // "dynamic" changes the base of sequences beyond the model's context only, and those are refused.
  if (type == "default" || type == "dynamic") return rope;
  if (type == "longrope" || type == "su") {
    set_longrope(fields, rope, model);
    return rope;
  }
  if (type == "linear") {
    rope.scaling = RopeConfig::Scaling::kLinear;
  } else if (type == "llama3") {
    rope.scaling = RopeConfig::Scaling::kLlama3;
    rope.low_frequency_factor = fields.positive_number_or("low_freq_factor", rope.low_frequency_factor);
    rope.high_frequency_factor = fields.positive_number_or("high_freq_factor", rope.high_frequency_factor);
    rope.original_positions = fields.positive_number_or("original_max_position_embeddings", rope.original_positions);
    if (rope.high_frequency_factor <= rope.low_frequency_factor) {
      fields.fail("high_freq_factor", "invalid value", std::to_string(rope.high_frequency_factor),
                  "more than low_freq_factor, " + std::to_string(rope.low_frequency_factor));
    }
  } else {
    fields.fail("rope_type", "unsupported rope scaling", shown(type), "default, dynamic, linear, llama3 or longrope");
  }
  if (!fields.has("factor")) fields.fail("factor", "field is missing", "", "a positive number");
  rope.factor = fields.positive_number_or("factor", 1);
  return rope;
}

namespace {

/// `rope_parameters` (transformers 5), or `rope_theta`, `partial_rotary_factor` and `rope_scaling` (before).
void set_rope(const Fields& fields, ModelConfig& model, const ShapeOptions& options) {
  model.rope.theta = fields.positive_number_or("rope_theta", model.rope.theta);
  model.rope.rotated_share = fields.number_or("partial_rotary_factor", options.rotated_share);
  const std::string key = fields.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (fields.has(key)) {
    const Fields given = fields.object(key);
    nlohmann::json parameters = given.raw();
    // Phi-3 has this beside `rope_scaling`.
    if (!parameters.contains("original_max_position_embeddings") && fields.has("original_max_position_embeddings")) {
      parameters["original_max_position_embeddings"] = fields.raw().at("original_max_position_embeddings");
    }
    model.rope = parse_rope_object(Fields(parameters, given.where()), model.rope, model, options.partial_rotary);
  }
  check_rotated_share(fields, model.rope.rotated_share, model.head_dim, options.partial_rotary);
}

}  // namespace

ModelConfig parse_llama_shape(const Fields& fields, const ShapeOptions& options) {
  ModelConfig model;
  model.model_type = fields.text_or("model_type", "");
  model.vocab_size = fields.positive("vocab_size");
  model.hidden_size = fields.positive("hidden_size");
  model.intermediate_size = fields.positive("intermediate_size");
  model.layers = fields.positive("num_hidden_layers", kMostLayers);
  model.heads = fields.positive("num_attention_heads");
  model.kv_heads = fields.positive_or("num_key_value_heads", model.heads);
  model.head_dim =
      fields.positive_or("head_dim", options.head_dim > 0 ? options.head_dim : model.hidden_size / model.heads);
  model.max_positions = fields.positive_or("max_position_embeddings", 2048, kMostPositions);
  model.norm_epsilon = fields.positive_number_or("rms_norm_eps", options.norm_epsilon);
  model.initializer_range = fields.number_or("initializer_range", 0.02);
  model.tied_head = fields.flag_or("tie_word_embeddings", false);
  model.windows.assign(model.layers, 0);
  if (model.heads % model.kv_heads != 0) {
    fields.fail("num_key_value_heads", "does not divide num_attention_heads", std::to_string(model.kv_heads),
                "a divisor of " + std::to_string(model.heads));
  }
  if (model.head_dim == 0 || model.head_dim % 2 != 0) {
    fields.fail("head_dim", "RoPE needs an even size", std::to_string(model.head_dim), "an even integer");
  }
  if (model.heads * model.head_dim > kMostSize) {
    fields.fail("head_dim", "all heads together are too wide", std::to_string(model.heads * model.head_dim),
                "at most " + std::to_string(kMostSize));
  }
  set_rope(fields, model, options);
  const std::string known = options.activation == Activation::kSilu ? "silu" : "gelu_pytorch_tanh";
  const std::string activation = fields.text_or(options.activation_key, known);
  if (activation != known) fields.fail(options.activation_key, "unsupported activation", shown(activation), known);
  model.activation = options.activation;
  return model;
}

void set_windows(const Fields& fields, ModelConfig& model, int64_t window, int64_t first_sliding) {
  if (!fields.has("layer_types")) {
    for (int64_t i = first_sliding; i < model.layers; ++i) model.windows[i] = window;
    return;
  }
  const nlohmann::json& types = fields.raw().at("layer_types");
  if (!types.is_array() || static_cast<int64_t>(types.size()) != model.layers) {
    fields.fail("layer_types", "wrong length", std::to_string(types.size()),
                std::to_string(model.layers) + " entries, one a layer");
  }
  for (int64_t i = 0; i < model.layers; ++i) {
    if (types[i] == "sliding_attention") {
      model.windows[i] = window;
    } else if (types[i] != "full_attention") {
      fields.fail("layer_types", "unknown layer type", shown(types[i]), "full_attention or sliding_attention");
    }
  }
}

void set_qwen_windows(const Fields& fields, ModelConfig& model) {
  const bool window_is_null = fields.raw().contains("sliding_window") && !fields.has("sliding_window");
  if (!fields.flag_or("use_sliding_window", false) || window_is_null) return;
  set_windows(fields, model, fields.positive_or("sliding_window", 4096, kMostPositions),
              fields.positive_or("max_window_layers", 28));
}

}  // namespace moelora::nn
