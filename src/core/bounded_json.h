// JSON out of files from elsewhere, read under bounds: what walks, copies or writes it recurses once per level.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"

namespace moelora {

enum class DuplicateKeys { kRefused, kLastCounts };

/// The object that `text` is, nested at most 64 deep; `name` is what errors call it. Json is nlohmann::json, or
/// nlohmann::ordered_json, which keeps the order of the keys. Throws Error (`kind`) with name, line and reason.
template <typename Json = nlohmann::json>
Json parse_bounded_json(std::string_view text, const std::string& name, ErrorKind kind,
                        DuplicateKeys duplicates = DuplicateKeys::kRefused);

}  // namespace moelora
