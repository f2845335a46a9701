// Everything about text in a Hugging Face model directory: tokenizer, special tokens, chat template.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace moelora::text {

struct SpecialToken {
  std::string text;
  int32_t id = 0;
};

struct TextAssets {
  Tokenizer tokenizer;
  std::optional<SpecialToken> bos;
  std::optional<SpecialToken> eos;
  std::optional<SpecialToken> pad;
  std::optional<SpecialToken> unk;
  /// The model's template ("default" where it has several); nullopt for a base model without one.
  std::optional<ChatTemplate> chat_template;
  /// bos_token, eos_token ... as transformers hands them to the template: what RenderOptions::variables starts from.
  Json template_variables = Json::object();
  /// What the configuration decides of how a text is encoded, where it isn't the ordinary: split_special_tokens, tokens
  /// before a text ("prefix") and behind it ("suffix").
  Json encoding = Json::object();
};

/// tokenizer.json decides how text is encoded, as in the `tokenizers` library and transformers 4: add_bos_token and
/// add_eos_token of the configuration count for nothing beside it, and Llama-2's keeps the spaces that transformers 5,
/// which builds that tokenizer anew, loses. From the configuration come tokens that the file lacks and
/// split_special_tokens.
///
/// A tokenizer.model (SentencePiece) is read where there is no tokenizer.json: as the published tokenizers of Llama-2,
/// Baichuan, InternLM2, and ChatGLM2 and 3 read it, the latter two with the chat prompt that theirs build in code.
///
/// Reads one of these two (required), tokenizer_config.json, special_tokens_map.json and chat_template.jinja, which
/// wins over tokenizer_config.json's chat_template. Throws Error(kModel) naming the file and what is wrong with it,
/// Error(kIo) where a file can't be looked at.
TextAssets load_text_assets(const std::filesystem::path& model_dir);

/// The file that says how text is encoded: tokenizer.json, or tokenizer.model where there is no tokenizer.json.
std::filesystem::path tokenizer_file(const std::filesystem::path& model_dir);

}  // namespace moelora::text
