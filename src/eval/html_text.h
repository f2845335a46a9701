// Text on the pages of reports.
#pragma once

#include <string>
#include <string_view>

namespace moelora::eval {

/// Any bytes as text that is safe in HTML and SVG, in attributes too: invalid UTF-8 and control characters are
/// replaced.
std::string html_escaped(std::string_view bytes);

}  // namespace moelora::eval
