// A SentencePiece model with the tokens that a model directory adds to it. Internal to src/text.
#pragma once

#include <optional>

#include "text/tokenizer_backend.h"

namespace moelora::text::internal {

/// A token that is recognised in a text before the model sees it.
struct AddedToken {
  std::string text;
  std::optional<int32_t> id;  // none: the model's own piece of that text, else the next after all others
  bool special = true;
  bool lstrip = false;  // takes the blanks before it
  bool rstrip = false;  // and those after it
  /// Recognised only right behind another added token: ChatGLM's `sop` is a part of words too.
  bool behind_another = false;
};

/// What is around and beside the model.
struct SentencePieceSettings {
  std::vector<AddedToken> added_tokens;
  std::vector<std::string> prefix;    // tokens that add_special_tokens puts before a text
  std::vector<std::string> suffix;    // and after it
  bool split_special_tokens = false;  // special tokens in a text are plain text
};

/// The tokens that the model itself names; empty where it has none.
struct SentencePieceNames {
  std::string bos, eos, pad, unk;
};

/// Between added tokens a text is the sentencepiece library's, each part by itself. Control and unknown pieces are
/// special too. Throws Error(kModel) naming `name` where `contents` isn't a model or the settings contradict it.
std::shared_ptr<const TokenizerBackend> make_sentencepiece_tokenizer(std::string_view contents,
                                                                     const SentencePieceSettings& settings,
                                                                     std::string name);

/// Throws as make_sentencepiece_tokenizer.
SentencePieceNames sentencepiece_names(std::string_view contents, const std::string& name);

}  // namespace moelora::text::internal
