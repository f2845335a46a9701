// What a model directory says beside its tokenizer.model: the tokens it adds, what goes before a text, and the chat
// template of the families whose published tokenizers build the prompt in code. Internal to src/text.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "text/chat_template.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/special_tokens.h"

namespace moelora::text::internal {

struct SentencePieceDirectory {
  SentencePieceSettings settings;
  Json named = Json::object();     // "bos_token", "eos_token" ... -> the token
  std::string chat_template;       // for a directory without one of its own; empty: none
  const char* template_name = "";  // what errors call it
};

/// As the published tokenizers for such files do it: LlamaTokenizer and those like it (Baichuan, InternLM2) put bos
/// before a text unless `add_bos_token` is false, and eos behind it where `add_eos_token` is true; ChatGLM2's and 3's
/// have ids of their own behind the model's pieces and begin with `[gMASK]sop`. `special` is what
/// combine_special_tokens made of `config`. Throws Error(kModel) for what isn't supported.
SentencePieceDirectory read_sentencepiece_directory(const std::filesystem::path& dir, std::string_view model,
                                                    const Json& config, const SpecialTokens& special);

}  // namespace moelora::text::internal
