// "Did you mean …?": the nearest valid name to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moelora {

/// The candidate nearest to `name` by edit distance (case-insensitive), or "" where none is near enough to be meant.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// "did you mean `x`?" for the nearest candidate, or "" where there is none; goes into ErrorDetails::hint.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

/// "a, b, c" for messages that list the valid names; after `most` names the rest is counted.
std::string list_names(std::span<const std::string> names, size_t most = 12);

}  // namespace moelora
