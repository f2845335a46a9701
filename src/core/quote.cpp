#include "core/quote.h"

#include "core/utf8.h"

namespace moelora {

std::string quote_name(std::string_view name) {
  constexpr size_t kMost = 160;
  constexpr char kHex[] = "0123456789abcdef";
  std::string_view tail;
  const std::string_view whole = name;
  if (name.size() > kMost) {
    tail = whole.substr(whole.size() - kMost / 4);
    name = whole.substr(0, kMost - tail.size());
  }
  const auto append_safe = [&](std::string& out, std::string_view part) {
    const bool escape_all = first_invalid_utf8(part).has_value();
    for (const char c : part) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte != 0x7f && (byte < 0x80 || !escape_all)) {
        out += c;
      } else {
        out += "\\x";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
      }
    }
  };
  std::string out = "`";
  append_safe(out, name);
  if (!tail.empty()) {
    out += "…";
    append_safe(out, tail);
  }
  return out + "`";
}

}  // namespace moelora
