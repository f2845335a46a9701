#include "text/assets.h"

#include <utility>

#include "core/bounded_json.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/suggest.h"
#include "text/model_file.h"
#include "text/sentencepiece_directory.h"
#include "text/special_tokens.h"
#include "text/tokenizer_backend.h"

namespace moelora::text {
namespace {

/// A template's text and what errors call it.
struct TemplateSource {
  std::string text;
  std::string name;
};

bool is_there(const std::filesystem::path& path) {
  return std::filesystem::exists(status_of(path));
}

/// {} where there is no such file. Of a key that stands there twice the last counts, as in transformers.
Json read_optional_object(const std::filesystem::path& path) {
  if (!is_there(path)) return Json::object();
  return parse_bounded_json<Json>(internal::read_model_file(path), path.string(), ErrorKind::kModel,
                                  DuplicateKeys::kLastCounts);
}

std::optional<TemplateSource> template_of_file(const std::filesystem::path& path) {
  if (!is_there(path)) return std::nullopt;
  return TemplateSource{internal::read_model_file(path), path.string()};
}

/// tokenizer_config.json's chat_template: one source, or a list of {name, template}, of which `default` is read.
std::optional<TemplateSource> template_of_config(const Json& config, const std::filesystem::path& path) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::nullopt;
  const std::string where = path.string();
  if (found->is_string()) return TemplateSource{found->get<std::string>(), where + " (chat_template)"};
  const auto refuse = [&where](std::string problem, const Json& value) {
    throw Error(ErrorKind::kModel, {.where = where,
                                    .problem = std::move(problem),
                                    .found = value.type_name(),
                                    .expected = "a string, or an array of objects with strings `name` and `template`"});
  };
  if (!found->is_array()) refuse("`chat_template` is not a template", *found);
  std::optional<TemplateSource> result;
  std::vector<std::string> names;
  for (const Json& entry : *found) {
    const bool is_template = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                             entry.contains("template") && entry["template"].is_string();
    if (!is_template) refuse("an entry of `chat_template` is not a named template", entry);
    names.push_back(entry["name"]);
    if (names.back() != "default") continue;
    result = TemplateSource{entry["template"].get<std::string>(), where + " (chat_template `default`)"};
  }
  if (!names.empty() && !result) {
    throw Error(ErrorKind::kModel, {.where = where,
                                    .problem = "no chat template is named `default`",
                                    .found = list_names(names),
                                    .hint = "put the one to use into chat_template.jinja"});
  }
  return result;
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
  return is_there(sentencepiece) && !is_there(json) ? sentencepiece : json;
}

TextAssets load_text_assets(const std::filesystem::path& model_dir) {
  const std::filesystem::path tokenizer_path = tokenizer_file(model_dir);
  const std::filesystem::path config_path = model_dir / "tokenizer_config.json";
  const std::filesystem::path map_path = model_dir / "special_tokens_map.json";
  const std::string contents = internal::read_model_file(tokenizer_path);
  const Json config = read_optional_object(config_path);
  internal::SpecialTokens special =
      internal::combine_special_tokens(config, config_path, read_optional_object(map_path), map_path);
  std::optional<TemplateSource> source = template_of_file(model_dir / "chat_template.jinja");
  if (!source) source = template_of_config(config, config_path);

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
    if (!source && !directory.chat_template.empty()) {
      source = TemplateSource{std::move(directory.chat_template), directory.template_name};
    }
  }
  TextAssets assets{.tokenizer = Tokenizer(std::move(backend))};
  assets.bos = special_token(assets.tokenizer, special.named, "bos_token");
  assets.eos = special_token(assets.tokenizer, special.named, "eos_token");
  assets.pad = special_token(assets.tokenizer, special.named, "pad_token");
  assets.unk = special_token(assets.tokenizer, special.named, "unk_token");
  if (source) assets.chat_template = ChatTemplate(std::move(source->text), std::move(source->name));
  assets.template_variables = std::move(special.named);
  assets.encoding = std::move(encoding);
  return assets;
}

}  // namespace moelora::text
