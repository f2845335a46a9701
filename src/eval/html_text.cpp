#include "eval/html_text.h"

#include "eval/segment.h"

namespace moelora::eval {

std::string html_escaped(std::string_view bytes) {
  std::string out;
  for (const char c : replace_invalid_utf8(bytes)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

}  // namespace moelora::eval
