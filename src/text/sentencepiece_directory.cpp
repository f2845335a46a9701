#include "text/sentencepiece_directory.h"

#include <charconv>
#include <map>

#include "core/error.h"
#include "core/file_system.h"
#include "text/model_file.h"

namespace moelora::text::internal {
namespace {

/// ChatGLM2's build_prompt. An answer and the next question are one text.
constexpr const char* kChatGlm2Template = R"jinja({%- set round = namespace(number=0) -%}
[gMASK]sop
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {%- set round.number = round.number + 1 -%}
    {{- '[Round ' ~ round.number ~ ']\n\n问：' ~ message.content ~ '\n\n答：' -}}
  {%- elif message.role == 'assistant' -%}
    {{- message.content ~ ('' if loop.last else '\n\n') -}}
  {%- else -%}
    {{- raise_exception('ChatGLM2 has rounds of a question and an answer, and no ' ~ message.role ~ ' message') -}}
  {%- endif -%}
{%- endfor -%})jinja";

/// ChatGLM3's build_chat_input: role, a line for metadata, which is empty, and the content as a text of its own; the
/// blank stands for the one that the tokenizer puts before a text.
constexpr const char* kChatGlm3Template = R"jinja([gMASK]sop
{%- for message in messages -%}
  {{- '<|' ~ message.role ~ '|>\n' ~ (' ' ~ message.content if message.content else '') -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|assistant|>' -}}
{%- endif -%})jinja";

bool flag_or(const Json& config, const char* key, bool fallback) {
  const auto found = config.find(key);
  return found != config.end() && found->is_boolean() ? found->get<bool>() : fallback;
}

bool is_chatglm(const Json& config) {
  const auto found = config.find("tokenizer_class");
  return found != config.end() && found->is_string() && found->get<std::string>().starts_with("ChatGLMTokenizer");
}

/// ChatGLM3's files name the roles' tokens: in the configuration, or in the tokenizer's own code.
bool has_role_tokens(const std::filesystem::path& dir, const Json& config) {
  constexpr std::string_view kRole = "<|assistant|>";
  if (config.dump(-1, ' ', false, Json::error_handler_t::replace).find(kRole) != std::string::npos) return true;
  const std::filesystem::path code = dir / "tokenization_chatglm.py";
  return std::filesystem::exists(status_of(code)) && read_model_file(code).find(kRole) != std::string::npos;
}

/// The ids that added_tokens_decoder gives, by token. combine_special_tokens has checked its form.
std::map<std::string, int32_t> added_ids(const Json& config, const std::filesystem::path& config_path) {
  std::map<std::string, int32_t> ids;
  const auto found = config.find("added_tokens_decoder");
  if (found == config.end() || !found->is_object()) return ids;
  for (const auto& [id_text, token] : found->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(id_text.data(), id_text.data() + id_text.size(), id);
    if (error != std::errc()) {
      throw Error(ErrorKind::kModel, {.where = config_path.string() + ": `added_tokens_decoder`",
                                      .problem = "a token's id is out of range",
                                      .found = id_text});
    }
    ids[token.is_string() ? token.get<std::string>() : token["content"].get<std::string>()] = id;
  }
  return ids;
}

std::vector<AddedToken> added_tokens(const Json& config, const std::filesystem::path& config_path,
                                     const SpecialTokens& special) {
  const std::map<std::string, int32_t> ids = added_ids(config, config_path);
  std::vector<AddedToken> tokens;
  for (const Json& setting : special.settings["added_tokens"]) {
    AddedToken token{.text = setting["content"]};
    token.special = setting.value("special", false);
    token.lstrip = setting.value("lstrip", false);
    token.rstrip = setting.value("rstrip", false);
    if (const auto id = ids.find(token.text); id != ids.end()) token.id = id->second;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

SentencePieceDirectory chatglm(const std::filesystem::path& dir, const Json& config, const SentencePieceNames& names) {
  const bool third = has_role_tokens(dir, config);
  SentencePieceDirectory result;
  for (const char* token : {"[MASK]", "[gMASK]", "[sMASK]"}) result.settings.added_tokens.push_back({.text = token});
  for (const char* token : {"sop", "eop"}) {
    result.settings.added_tokens.push_back({.text = token, .behind_another = true});
  }
  if (third) {
    for (const char* token : {"<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"}) {
      result.settings.added_tokens.push_back({.text = token});
    }
  }
  result.settings.prefix = {"[gMASK]", "sop"};
  result.named = {{"eos_token", names.eos}, {"unk_token", names.unk}, {"pad_token", names.unk}};
  result.chat_template = third ? kChatGlm3Template : kChatGlm2Template;
  result.template_name = third ? "the chat template of ChatGLM3" : "the chat template of ChatGLM2";
  return result;
}

}  // namespace

SentencePieceDirectory read_sentencepiece_directory(const std::filesystem::path& dir, std::string_view model,
                                                    const Json& config, const SpecialTokens& special) {
  const std::string name = (dir / "tokenizer.model").string();
  const SentencePieceNames names = sentencepiece_names(model, name);
  if (is_chatglm(config)) return chatglm(dir, config, names);
  if (!flag_or(config, "legacy", true)) {
    throw Error(ErrorKind::kModel,
                {.where = (dir / "tokenizer_config.json").string(),
                 .problem = "`legacy: false` isn't supported with a tokenizer.model",
                 .expected = "a tokenizer.json beside it",
                 .hint = "transformers writes one: AutoTokenizer.from_pretrained(…).save_pretrained(…)"});
  }
  SentencePieceDirectory result;
  result.named = special.named;
  // What the configuration leaves out is as the model names it.
  const std::pair<const char*, std::string> own[] = {
      {"bos_token", names.bos}, {"eos_token", names.eos}, {"unk_token", names.unk}, {"pad_token", names.pad}};
  result.settings.added_tokens = added_tokens(config, dir / "tokenizer_config.json", special);
  for (const auto& [key, token] : own) {
    if (token.empty() || config.contains(key) || result.named.contains(key)) continue;
    result.named[key] = token;
    result.settings.added_tokens.push_back({.text = token});
  }
  result.settings.split_special_tokens = special.settings.value("split_special_tokens", false);
  const auto token_of = [&result](const char* key) { return result.named[key].get<std::string>(); };
  if (flag_or(config, "add_bos_token", true) && result.named.contains("bos_token")) {
    result.settings.prefix = {token_of("bos_token")};
  }
  if (flag_or(config, "add_eos_token", false) && result.named.contains("eos_token")) {
    result.settings.suffix = {token_of("eos_token")};
  }
  return result;
}

}  // namespace moelora::text::internal
