#include "text/special_tokens.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "core/error.h"

namespace moelora::text::internal {
namespace {

/// The names transformers hands to templates, in its order.
constexpr std::array kNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                               "pad_token", "cls_token", "mask_token"};

/// A token with the file and key it stands in.
struct Source {
  const std::filesystem::path& path;
  std::string key;
};

/// The token's properties as moelora_tokenizer_new takes them. Those of a bare string are unknown, except that it is
/// special.
Json token_setting(const Json& token, const Source& source) {
  if (token.is_string()) return {{"content", token}, {"special", true}};
  if (!token.is_object() || !token.contains("content") || !token["content"].is_string()) {
    throw Error(ErrorKind::kModel, {.where = source.path.string(),
                                    .problem = "`" + source.key + "` is not a token",
                                    .found = token.type_name(),
                                    .expected = "a string, or an object with a string `content`"});
  }
  Json setting = {{"content", token["content"]}};
  for (const char* flag : {"special", "lstrip", "rstrip", "single_word", "normalized"}) {
    const auto found = token.find(flag);
    if (found == token.end()) continue;
    if (!found->is_boolean()) {
      throw Error(ErrorKind::kModel, {.where = source.path.string(),
                                      .problem = "`" + source.key + "." + flag + "` is not true or false",
                                      .found = found->type_name()});
    }
    setting[flag] = *found;
  }
  return setting;
}

bool flag_of(const Json& config, const char* name, const std::filesystem::path& path) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return false;
  if (!found->is_boolean()) {
    throw Error(ErrorKind::kModel, {.where = path.string(),
                                    .problem = "`" + std::string(name) + "` is not true or false",
                                    .found = found->type_name()});
  }
  return found->get<bool>();
}

/// added_tokens_decoder, {"151643": {content, special, ...}, ...}, by id.
std::vector<Json> added_tokens(const Json& config, const std::filesystem::path& path) {
  const auto found = config.find("added_tokens_decoder");
  if (found == config.end() || found->is_null()) return {};
  if (!found->is_object()) {
    throw Error(
        ErrorKind::kModel,
        {.where = path.string(), .problem = "`added_tokens_decoder` is not an object", .found = found->type_name()});
  }
  std::vector<std::pair<int64_t, Json>> tokens;
  for (const auto& [id_text, token] : found->items()) {
    int64_t id = -1;
    const char* end = id_text.data() + id_text.size();
    const auto [last, error] = std::from_chars(id_text.data(), end, id);
    if (error != std::errc() || last != end || id < 0) {
      throw Error(
          ErrorKind::kModel,
          {.where = path.string(), .problem = "a key of `added_tokens_decoder` is not a token id", .found = id_text});
    }
    tokens.emplace_back(id, token_setting(token, {path, "added_tokens_decoder." + id_text}));
  }
  std::stable_sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Json> result;
  for (auto& [id, token] : tokens) result.push_back(std::move(token));
  return result;
}

}  // namespace

SpecialTokens combine_special_tokens(const Json& config, const std::filesystem::path& config_path, const Json& map,
                                     const std::filesystem::path& map_path) {
  SpecialTokens result;
  std::vector<Json> added = added_tokens(config, config_path);
  // special_tokens_map.json counts only beside a configuration of the old kind, which has no added_tokens_decoder;
  // there it wins.
  const bool use_map = !config.contains("added_tokens_decoder");
  const auto add_special = [&added](Json setting) {
    setting["special"] = true;
    const auto is_same = [&setting](const Json& other) { return other["content"] == setting["content"]; };
    const auto known = std::find_if(added.begin(), added.end(), is_same);
    if (known == added.end()) {
      added.push_back(std::move(setting));
    } else {
      (*known)["special"] = true;
    }
  };
  for (const char* name : kNames) {
    const bool from_map = use_map && map.contains(name);
    const Json& file = from_map ? map : config;
    const auto found = file.find(name);
    if (found == file.end() || found->is_null() || *found == "") continue;
    Json setting = token_setting(*found, {from_map ? map_path : config_path, name});
    result.named[name] = setting["content"];
    add_special(std::move(setting));
  }
  // Model-specific ones (image_token and the like) have names too.
  const auto add_named = [&](const std::string& name, const Json& token, const Source& source) {
    Json setting = token_setting(token, source);
    result.named[name] = setting["content"];
    add_special(std::move(setting));
  };
  for (const auto& [key, token] : config.items()) {
    const bool standard = std::find(kNames.begin(), kNames.end(), key) != kNames.end();
    if (key.ends_with("_token") && !standard && (token.is_string() || token.is_object()))
      add_named(key, token, {config_path, key});
  }
  // The newer name for the others wins where it is not empty.
  for (const char* name : {"extra_special_tokens", "additional_special_tokens"}) {
    const bool from_map = use_map && map.contains(name);
    const Json& file = from_map ? map : config;
    const auto found = file.find(name);
    if (found == file.end() || !found->is_structured() || found->empty()) continue;
    for (const auto& [key, token] : found->items()) {
      const Source source{from_map ? map_path : config_path, std::string(name) + "." + key};
      if (found->is_object()) {
        add_named(key, token, source);
      } else {
        add_special(token_setting(token, source));
      }
    }
    break;
  }
  result.settings["added_tokens"] = std::move(added);
  result.settings["split_special_tokens"] = flag_of(config, "split_special_tokens", config_path);
  return result;
}

}  // namespace moelora::text::internal
