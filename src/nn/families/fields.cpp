#include "nn/families/fields.h"

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

namespace {

/// `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (before).
RopeConfig parse_rope(const Fields& fields) {
  RopeConfig rope;
  const std::string key = fields.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  rope.theta = fields.positive_number_or("rope_theta", rope.theta);
  if (!fields.has(key)) return rope;
  if (!fields.raw().at(key).is_object()) fields.fail(key, "invalid value", shown(fields.raw().at(key)), "an object");
  const Fields scaling(fields.raw().at(key), fields.where() + ": `" + key + "`");
  rope.theta = scaling.positive_number_or("rope_theta", rope.theta);
  if (scaling.number_or("partial_rotary_factor", 1.0) != 1.0) {
    scaling.fail("partial_rotary_factor", "unsupported value", "", "1.0 for this family");
  }
  const std::string type = scaling.text_or("rope_type", scaling.text_or("type", "default"));
  if (type == "default") return rope;
  if (type == "linear") {
    rope.scaling = RopeConfig::Scaling::kLinear;
  } else if (type == "llama3") {
    rope.scaling = RopeConfig::Scaling::kLlama3;
    rope.low_frequency_factor = scaling.positive_number_or("low_freq_factor", rope.low_frequency_factor);
    rope.high_frequency_factor = scaling.positive_number_or("high_freq_factor", rope.high_frequency_factor);
    rope.original_positions = scaling.positive_number_or("original_max_position_embeddings", rope.original_positions);
    if (rope.high_frequency_factor <= rope.low_frequency_factor) {
      scaling.fail("high_freq_factor", "invalid value", std::to_string(rope.high_frequency_factor),
                   "more than low_freq_factor, " + std::to_string(rope.low_frequency_factor));
    }
  } else {
    scaling.fail("rope_type", "unsupported rope scaling", shown(type), "default, linear or llama3");
  }
  if (!scaling.has("factor")) scaling.fail("factor", "field is missing", "", "a positive number");
  rope.factor = scaling.positive_number_or("factor", 1);
  return rope;
}

}  // namespace

ModelConfig parse_llama_shape(const Fields& fields, int64_t head_dim) {
  ModelConfig model;
  model.model_type = fields.text_or("model_type", "");
  model.vocab_size = fields.positive("vocab_size");
  model.hidden_size = fields.positive("hidden_size");
  model.intermediate_size = fields.positive("intermediate_size");
  model.layers = fields.positive("num_hidden_layers", kMostLayers);
  model.heads = fields.positive("num_attention_heads");
  model.kv_heads = fields.positive_or("num_key_value_heads", model.heads);
  model.head_dim = fields.positive_or("head_dim", head_dim > 0 ? head_dim : model.hidden_size / model.heads);
  model.max_positions = fields.positive_or("max_position_embeddings", 2048, kMostPositions);
  model.norm_epsilon = fields.positive_number_or("rms_norm_eps", 1e-6);
  model.initializer_range = fields.number_or("initializer_range", 0.02);
  model.tied_head = fields.flag_or("tie_word_embeddings", false);
  model.rope = parse_rope(fields);
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
  const std::string activation = fields.text_or("hidden_act", "silu");
  if (activation != "silu") fields.fail("hidden_act", "unsupported activation", shown(activation), "silu");
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

}  // namespace moelora::nn
