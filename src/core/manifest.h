// The text of manifest.json. Its last field is a checksum over all bytes before it, so that a flipped bit anywhere is
// found. Internal to src/core.
#pragma once

#include <string>
#include <string_view>

#include "core/durable.h"

namespace moelora {

std::string manifest_text(const Manifest& manifest);

/// Whether `name` stays inside a directory: relative, no empty, "." or ".." part, no control characters, not
/// manifest.json.
bool is_safe_file_name(std::string_view name);

}  // namespace moelora
