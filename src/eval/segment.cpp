#include "eval/segment.h"

#include <array>
#include <cstdint>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "core/utf8.h"

namespace moelora::eval {
namespace {

constexpr std::string_view kIdeographicSpace = "\xE3\x80\x80";

struct CodePoint {
  char32_t value;
  size_t bytes;
};

CodePoint code_point_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  size_t bytes = 1;
  if (first >= 0xF0) {
    bytes = 4;
  } else if (first >= 0xE0) {
    bytes = 3;
  } else if (first >= 0xC0) {
    bytes = 2;
  }
  if (bytes == 1 || at + bytes > text.size()) return {first, 1};
  char32_t value = first & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) value = value << 6 | (byte(i) & 0x3Fu);
  return {value, bytes};
}

void append_utf8(std::string* out, char32_t value) {
  if (value < 0x80) {
    out->push_back(static_cast<char>(value));
  } else if (value < 0x800) {
    out->push_back(static_cast<char>(0xC0 | value >> 6));
    out->push_back(static_cast<char>(0x80 | (value & 0x3F)));
  } else if (value < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | value >> 12));
    out->push_back(static_cast<char>(0x80 | (value >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (value & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | value >> 18));
    out->push_back(static_cast<char>(0x80 | (value >> 12 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (value >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (value & 0x3F)));
  }
}

using Range = std::pair<char32_t, char32_t>;

template <size_t kSize>
bool in_any(char32_t value, const std::array<Range, kSize>& ranges) {
  for (const Range& range : ranges) {
    if (value >= range.first && value <= range.second) return true;
  }
  return false;
}

// Unified ideographs with their extensions and compatibility forms, and kana: scripts written without spaces.
constexpr std::array<Range, 7> kCjk = {{{0x3040, 0x30FF},
                                        {0x3400, 0x4DBF},
                                        {0x4E00, 0x9FFF},
                                        {0xF900, 0xFAFF},
                                        {0x20000, 0x2A6DF},
                                        {0x2A700, 0x2FA1F},
                                        {0x30000, 0x323AF}}};
constexpr std::array<Range, 4> kAsciiPunctuation = {{{0x21, 0x2F}, {0x3A, 0x40}, {0x5B, 0x60}, {0x7B, 0x7E}}};
// Unicode punctuation of the blocks that texts of these languages use.
constexpr std::array<Range, 18> kPunctuation = {{{0xA1, 0xA1},
                                                 {0xA7, 0xA7},
                                                 {0xAB, 0xAB},
                                                 {0xB6, 0xB7},
                                                 {0xBB, 0xBB},
                                                 {0xBF, 0xBF},
                                                 {0x2010, 0x2027},
                                                 {0x2030, 0x205E},
                                                 {0x3001, 0x3003},
                                                 {0x3008, 0x3011},
                                                 {0x3014, 0x301F},
                                                 {0x30FB, 0x30FB},
                                                 {0xFE30, 0xFE4F},
                                                 {0xFF01, 0xFF0F},
                                                 {0xFF1A, 0xFF20},
                                                 {0xFF3B, 0xFF40},
                                                 {0xFF5B, 0xFF65},
                                                 {0xFFFD, 0xFFFD}}};

bool is_cjk(char32_t value) {
  return in_any(value, kCjk) && value != 0x30FB;
}

bool is_punctuation(char32_t value) {
  return value < 0x80 ? in_any(value, kAsciiPunctuation) : in_any(value, kPunctuation);
}

bool is_space(char32_t value) {
  return value <= 0x20 || value == 0x7F || value == 0x85 || value == 0xA0 || (value >= 0x2000 && value <= 0x200B) ||
         value == 0x2028 || value == 0x2029 || value == 0x202F || value == 0x3000 || value == 0xFEFF;
}

char32_t lower(char32_t value) {
  if (value >= 'A' && value <= 'Z') return value + 32;
  if (value >= 0xC0 && value <= 0xDE && value != 0xD7) return value + 32;
  if (value >= 0x391 && value <= 0x3A9) return value + 32;
  if (value >= 0x410 && value <= 0x42F) return value + 32;
  if (value >= 0x400 && value <= 0x40F) return value + 80;
  return value;
}

bool is_ascii_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

TextUnit unit_from_name(std::string_view name, std::string_view where) {
  static const std::vector<std::string> names = {"auto", "character", "word"};
  if (name == names[0]) return TextUnit::kAuto;
  if (name == names[1]) return TextUnit::kCharacter;
  if (name == names[2]) return TextUnit::kWord;
  throw Error(ErrorKind::kConfig, {std::string(where), "unknown text unit `" + std::string(name) + "`", "",
                                   list_names(names), did_you_mean(name, names)});
}

bool contains_cjk(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (is_cjk(point.value)) return true;
    at += point.bytes;
  }
  return false;
}

std::vector<std::string> segment(std::string_view text, TextUnit unit) {
  if (unit == TextUnit::kAuto) unit = contains_cjk(text) ? TextUnit::kCharacter : TextUnit::kWord;
  const bool by_character = unit == TextUnit::kCharacter;
  std::vector<std::string> tokens;
  std::string run;
  const auto end_run = [&] {
    if (!run.empty()) tokens.push_back(std::exchange(run, {}));
  };
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    const std::string_view bytes = text.substr(at, point.bytes);
    at += point.bytes;
    if (is_space(point.value)) {
      end_run();
    } else if (is_punctuation(point.value)) {
      end_run();
      if (by_character) tokens.emplace_back(bytes);
    } else if (by_character && is_cjk(point.value)) {
      end_run();
      tokens.emplace_back(bytes);
    } else {
      append_utf8(&run, lower(point.value));
    }
  }
  end_run();
  return tokens;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string out;
  while (true) {
    const auto invalid = first_invalid_utf8(bytes);
    if (!invalid) return out.append(bytes);
    out.append(bytes.substr(0, *invalid)).append("\xEF\xBF\xBD");
    bytes.remove_prefix(*invalid + 1);
  }
}

std::string_view trim(std::string_view text) {
  while (!text.empty()) {
    if (is_ascii_space(text.front())) {
      text.remove_prefix(1);
    } else if (text.starts_with(kIdeographicSpace)) {
      text.remove_prefix(kIdeographicSpace.size());
    } else {
      break;
    }
  }
  while (!text.empty()) {
    if (is_ascii_space(text.back())) {
      text.remove_suffix(1);
    } else if (text.ends_with(kIdeographicSpace)) {
      text.remove_suffix(kIdeographicSpace.size());
    } else {
      break;
    }
  }
  return text;
}

std::vector<std::string_view> split_trimmed(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    const std::string_view part = trim(text.substr(0, end));
    if (!part.empty()) parts.push_back(part);
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

std::vector<std::string_view> non_empty_lines(std::string_view text) {
  return split_trimmed(text, "\n");
}

std::string fold(std::string_view text) {
  std::string out;
  for (const char c : trim(text)) {
    if (is_ascii_space(c)) {
      if (out.back() != ' ') out.push_back(' ');
    } else {
      out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    }
  }
  return out;
}

std::string text_after_prefix(std::string_view text, std::string_view prefix) {
  for (const std::string_view line : non_empty_lines(text)) {
    if (line.starts_with(prefix)) return std::string(trim(line.substr(prefix.size())));
  }
  return "";
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    const bool wide = is_cjk(point.value) || (point.value >= 0x3000 && point.value <= 0x303F) ||
                      (point.value >= 0xAC00 && point.value <= 0xD7A3) ||
                      (point.value >= 0xFF01 && point.value <= 0xFF60);
    width += wide ? 2 : 1;
    at += point.bytes;
  }
  return width;
}

}  // namespace moelora::eval
