// The special tokens of tokenizer_config.json and special_tokens_map.json, as transformers combines them. Internal to
// src/text.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "text/chat_template.h"

namespace moelora::text::internal {

struct SpecialTokens {
  /// "bos_token", "eos_token" ... -> the token, in transformers' order: what the template is given.
  Json named = Json::object();
  /// What moelora_tokenizer_new takes.
  Json settings = Json::object();
};

/// config: tokenizer_config.json; map: special_tokens_map.json; both {} where there is no file. Throws Error(kModel)
/// for a token that is neither a string nor an object with `content`.
SpecialTokens combine_special_tokens(const Json& config, const std::filesystem::path& config_path, const Json& map,
                                     const std::filesystem::path& map_path);

}  // namespace moelora::text::internal
