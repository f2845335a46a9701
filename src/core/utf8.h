// Strict UTF-8 validation (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace moelora {

/// Offset of the first byte of the first ill-formed sequence, or nothing where all of `text` is valid.
std::optional<size_t> first_invalid_utf8(std::string_view text);

}  // namespace moelora
