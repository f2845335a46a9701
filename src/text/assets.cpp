#include "text/assets.h"

#include <map>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "text/model_file.h"
#include "text/sentencepiece_directory.h"
#include "text/special_tokens.h"
#include "text/tokenizer_backend.h"

namespace moelora::text {
namespace {

constexpr const char* kDefault = "default";
constexpr const char* kToolUse = "tool_use";

/// A template's source and what errors call it.
struct TemplateSource {
  std::string source;
  std::string name;
};
using TemplateSources = std::map<std::string, TemplateSource>;

/// {} where there is no such file.
Json read_optional_object(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return Json::object();
  const std::string contents = internal::read_model_file(path);
  Json value;
  try {
    value = Json::parse(contents);
  } catch (const Json::parse_error& error) {
    throw Error(ErrorKind::kModel, {.where = path.string(), .problem = "not valid JSON", .found = error.what()});
  }
  if (!value.is_object()) {
    throw Error(
        ErrorKind::kModel,
        {.where = path.string(), .problem = "not a JSON object", .found = value.type_name(), .expected = "an object"});
  }
  return value;
}

/// chat_template.jinja and additional_chat_templates/*.jinja.
TemplateSources templates_of_files(const std::filesystem::path& model_dir) {
  TemplateSources result;
  const auto add = [&result](const std::string& name, const std::filesystem::path& path) {
    if (std::filesystem::exists(path)) result[name] = {internal::read_model_file(path), path.string()};
  };
  add(kDefault, model_dir / "chat_template.jinja");
  add(kToolUse, model_dir / "additional_chat_templates" / "tool_use.jinja");
  return result;
}

/// tokenizer_config.json's chat_template: one source, or a list of {name, template}.
TemplateSources templates_of_config(const Json& config, const std::filesystem::path& path) {
  TemplateSources result;
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return result;
  const std::string where = path.string();
  if (found->is_string()) {
    result[kDefault] = {found->get<std::string>(), where + " (chat_template)"};
    return result;
  }
  const auto refuse = [&where](std::string problem, const Json& value) {
    throw Error(ErrorKind::kModel, {.where = where,
                                    .problem = std::move(problem),
                                    .found = value.type_name(),
                                    .expected = "a string, or an array of objects with strings `name` and `template`"});
  };
  if (!found->is_array()) refuse("`chat_template` is not a template", *found);
  std::vector<std::string> names;
  for (const Json& entry : *found) {
    const bool is_template = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                             entry.contains("template") && entry["template"].is_string();
    if (!is_template) refuse("an entry of `chat_template` is not a named template", entry);
    names.push_back(entry["name"]);
    result[names.back()] = {entry["template"], where + " (chat_template `" + names.back() + "`)"};
  }
  if (!names.empty() && !result.contains(kDefault)) {
    throw Error(ErrorKind::kModel, {.where = where,
                                    .problem = "no chat template is named `default`",
                                    .found = list_names(names),
                                    .hint = "put the one to use into chat_template.jinja"});
  }
  return result;
}

std::optional<ChatTemplate> compile(const TemplateSources& sources, const char* name) {
  const auto found = sources.find(name);
  if (found == sources.end()) return std::nullopt;
  return ChatTemplate(found->second.source, found->second.name);
}

std::optional<SpecialToken> special_token(const Tokenizer& tokenizer, const Json& named, const char* name) {
  const auto found = named.find(name);
  if (found == named.end()) return std::nullopt;
  SpecialToken token{.text = *found};
  const std::optional<int32_t> id = tokenizer.token_to_id(token.text);
  if (!id) {
    throw Error(ErrorKind::kModel,
                {.where = tokenizer.name(), .problem = "the vocabulary has no `" + token.text + "`, its " + name});
  }
  token.id = *id;
  return token;
}

}  // namespace

std::filesystem::path tokenizer_file(const std::filesystem::path& model_dir) {
  const std::filesystem::path json = model_dir / "tokenizer.json", sentencepiece = model_dir / "tokenizer.model";
  return std::filesystem::exists(sentencepiece) && !std::filesystem::exists(json) ? sentencepiece : json;
}

TextAssets load_text_assets(const std::filesystem::path& model_dir) {
  const std::filesystem::path tokenizer_path = tokenizer_file(model_dir);
  const std::filesystem::path config_path = model_dir / "tokenizer_config.json";
  const std::filesystem::path map_path = model_dir / "special_tokens_map.json";
  const std::string contents = internal::read_model_file(tokenizer_path);
  const Json config = read_optional_object(config_path);
  internal::SpecialTokens special =
      internal::combine_special_tokens(config, config_path, read_optional_object(map_path), map_path);
  TemplateSources templates = templates_of_files(model_dir);
  if (templates.empty()) templates = templates_of_config(config, config_path);

  Json encoding = Json::object();
  if (special.settings.value("split_special_tokens", false)) encoding["split_special_tokens"] = true;
  std::shared_ptr<const internal::TokenizerBackend> backend;
  if (tokenizer_path.filename() == "tokenizer.json") {
    backend = internal::make_json_tokenizer(contents, special.settings.dump(), tokenizer_path.string());
  } else {
    internal::SentencePieceDirectory directory =
        internal::read_sentencepiece_directory(model_dir, contents, config, special);
    backend = internal::make_sentencepiece_tokenizer(contents, directory.settings, tokenizer_path.string());
    special.named = std::move(directory.named);
    if (!directory.settings.prefix.empty()) encoding["prefix"] = directory.settings.prefix;
    if (!directory.settings.suffix.empty()) encoding["suffix"] = directory.settings.suffix;
    if (templates.empty() && !directory.chat_template.empty()) {
      templates[kDefault] = {directory.chat_template, directory.template_name};
    }
  }
  TextAssets assets{.tokenizer = Tokenizer(std::move(backend))};
  assets.bos = special_token(assets.tokenizer, special.named, "bos_token");
  assets.eos = special_token(assets.tokenizer, special.named, "eos_token");
  assets.pad = special_token(assets.tokenizer, special.named, "pad_token");
  assets.unk = special_token(assets.tokenizer, special.named, "unk_token");
  assets.chat_template = compile(templates, kDefault);
  assets.tool_use_template = compile(templates, kToolUse);
  assets.template_variables = std::move(special.named);
  assets.encoding = std::move(encoding);
  return assets;
}

}  // namespace moelora::text
