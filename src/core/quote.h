// Names out of hostile files, made safe and short for messages.
#pragma once

#include <string>
#include <string_view>

namespace moelora {

/// `name` in backquotes, with control characters and invalid UTF-8 as \xNN and the middle of a long one left out.
std::string quote_name(std::string_view name);

}  // namespace moelora
