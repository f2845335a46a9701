#include "nn/model_config.h"

#include <map>

#include "core/error.h"
#include "core/suggest.h"
#include "nn/families/fields.h"

namespace moelora::nn {
namespace {

using Parser = ModelConfig (*)(const Fields&);

/// A new family adds its file to nn/families/ and its line here.
const std::map<std::string, Parser>& families() {
  static const std::map<std::string, Parser> table = {
      {"baichuan", parse_baichuan},
      {"chatglm", parse_chatglm},
      {"gemma2", parse_gemma2},
      {"gemma3", parse_gemma3},
      {"gemma3_text", parse_gemma3_text},
      {"glm", parse_glm},
      {"glm4", parse_glm4},
      {"internlm2", parse_internlm2},
      {"llama", parse_llama},
      {"mistral", parse_mistral},
      {"phi3", parse_phi3},
      {"qwen2", parse_qwen2},
      {"qwen3", parse_qwen3},
  };
  return table;
}

}  // namespace

std::vector<std::string> supported_families() {
  std::vector<std::string> names;
  for (const auto& [name, parser] : families()) names.push_back(name);
  return names;
}

ModelConfig parse_model_config(const nlohmann::json& config, const std::string& where) {
  if (!config.is_object()) {
    throw Error(ErrorKind::kModel,
                {.where = where, .problem = "not a JSON object", .expected = "a model's config.json"});
  }
  const Fields fields(config, where);
  const std::string type = fields.text_or("model_type", "");
  const auto family = families().find(type);
  if (family == families().end()) {
    const std::vector<std::string> known = supported_families();
    throw Error(ErrorKind::kModel, {.where = where + ": `model_type`",
                                    .problem = type.empty() ? "field is missing" : "unsupported model family",
                                    .found = type.empty() ? "" : shown(type),
                                    .expected = "one of " + list_names(known, known.size()),
                                    .hint = did_you_mean(type.substr(0, 60), known)});
  }
  return family->second(fields);
}

}  // namespace moelora::nn
