// Text cut into the pieces that answers and metrics work on: lines, parts, words, characters. Inputs must be valid
// UTF-8 unless said otherwise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moelora::eval {

/// Unit of ROUGE-L and of the words of baselines.
enum class TextUnit {
  kAuto,       // kCharacter for text that holds CJK characters, else kWord
  kCharacter,  // a CJK character or a punctuation mark each, other runs of letters and digits whole (as the PromptCBLUE
               // evaluation)
  kWord,       // runs of letters and digits; punctuation separates and is dropped (as the rouge-score package)
};

/// "auto", "character" or "word". Throws Error(kConfig), naming `where`, for anything else.
TextUnit unit_from_name(std::string_view name, std::string_view where);

/// Whether the text holds a CJK ideograph or kana.
bool contains_cjk(std::string_view text);

/// Tokens of `unit` (kAuto is decided by this text alone). Letters are lower-cased: ASCII, Latin-1, Greek, Cyrillic.
std::vector<std::string> segment(std::string_view text, TextUnit unit);

/// Any bytes: each ill-formed one becomes U+FFFD.
std::string replace_invalid_utf8(std::string_view bytes);

/// Without white space (ASCII and U+3000) at both ends.
std::string_view trim(std::string_view text);

/// The non-empty trimmed parts between separators.
std::vector<std::string_view> split_trimmed(std::string_view text, std::string_view separator);

/// The non-empty trimmed lines (LF, CRLF).
std::vector<std::string_view> non_empty_lines(std::string_view text);

/// ASCII letters lower-cased, runs of white space one blank, ends trimmed.
std::string fold(std::string_view text);

/// What follows `prefix` on the first line that starts with it, trimmed; empty where no line does.
std::string text_after_prefix(std::string_view text, std::string_view prefix);

/// Columns the text takes in a terminal: two for a CJK or full-width character, one for any other.
size_t display_width(std::string_view text);

}  // namespace moelora::eval
