// A model's config.json: the JSON, then the shape of a decoder.
#include "nn/model_config.h"

#include <nlohmann/json.hpp>

#include "fuzz/target.h"
#include "io/json_file.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const nlohmann::json json = io::parse_json_object(input, "config.json");
  require(io::parse_json_object(io::json_text(json, "config.json"), "again") == json, "JSON that reads back changed");
  const nn::ModelConfig config = nn::parse_model_config(json, "config.json");
  require(config.layers > 0 && config.heads > 0 && config.kv_heads > 0 && config.head_dim > 0 &&
              config.heads % config.kv_heads == 0 && config.windows.size() == static_cast<size_t>(config.layers),
          "a shape that no decoder has");
}

}  // namespace moelora::fuzz
