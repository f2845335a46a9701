// Reading typed fields out of a row's JSON object; every failure is a RowProblem that names keys and types, never
// values.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

#include "data/formats.h"

namespace moelora::data {

/// "a string", "an array", "null" …
std::string type_of(const simdjson::dom::element& element);

/// `key` for a message: control characters replaced, at most 40 bytes, in backquotes.
std::string quoted_key(std::string_view key);

/// Throws RowProblem where the key is missing or isn't a string.
std::string require_string(const simdjson::dom::object& object, std::string_view key);

/// Empty for a missing key or null; throws RowProblem for anything else but a string.
std::string optional_string(const simdjson::dom::object& object, std::string_view key);

/// A string or an integer as text; nothing for a missing key or null; RowProblem for any other type.
std::optional<std::string> optional_name(const simdjson::dom::object& object, std::string_view key);

/// Throws RowProblem where the key is missing or isn't an array.
simdjson::dom::array require_array(const simdjson::dom::object& object, std::string_view key);

/// Throws RowProblem where an element isn't an object, or has a key twice; `place` is "messages[2]", say.
simdjson::dom::object as_object(const simdjson::dom::element& element, const std::string& place);

/// The answer under `key`; empty for a missing key or null where answers are optional, else as require_string.
std::string read_answer(const simdjson::dom::object& object, std::string_view key, Answers answers);

/// Takes the last assistant message as the answer. Throws RowProblem where the conversation doesn't end with one
/// (unless answers are optional) or has nothing before it; `place` names the field.
void split_answer(std::string_view place, Answers answers, Row& row);

}  // namespace moelora::data
