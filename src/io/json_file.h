// JSON files, read under bounds and written as transformers and PEFT write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"

namespace moelora::io {

/// The object in a file of at most `max_bytes`, nested at most 64 deep, without duplicate keys.
/// Throws Error(kModel) naming file, line and reason.
nlohmann::json read_json_object(const std::filesystem::path& path, int64_t max_bytes = int64_t{64} << 20);

/// The same from text; `name` is what errors call it.
nlohmann::json parse_json_object(std::string_view text, const std::string& name);

/// Error(kModel) about a key of the object read from `path`, with the value that was found.
Error key_error(const std::string& path, const nlohmann::json& object, const std::string& key, std::string problem,
                std::string expected);

/// Two spaces of indentation, keys sorted, a final newline. Throws Error(kModel) naming `name` where a string isn't
/// UTF-8.
std::string json_text(const nlohmann::json& value, const std::string& name);

}  // namespace moelora::io
