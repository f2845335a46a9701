#include "data/formats/fields.h"

#include <utility>

namespace moelora::data {

using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

std::string type_of(const element& element) {
  switch (element.type()) {
    case element_type::ARRAY:
      return "an array";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "true or false";
    case element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

std::string quoted_key(std::string_view key) {
  std::string text = "`";
  for (const char c : key.substr(0, 40)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (key.size() > 40) {
    while ((static_cast<unsigned char>(key[text.size() - 1]) & 0xC0) == 0x80)
      text.pop_back();  // end on a whole character
    text += "…";
  }
  return text + "`";
}

std::string require_string(const object& object, std::string_view key) {
  const auto field = object[key];
  if (field.error()) throw RowProblem{"the key " + quoted_key(key) + " is missing", "", "a string"};
  const element value = field.value_unsafe();
  if (!value.is_string())
    throw RowProblem{"the key " + quoted_key(key) + " has the wrong type", type_of(value), "a string"};
  return std::string(value.get_string().value_unsafe());
}

std::string optional_string(const object& object, std::string_view key) {
  const auto field = object[key];
  if (field.error() || field.value_unsafe().is_null()) return "";
  return require_string(object, key);
}

std::optional<std::string> optional_name(const object& object, std::string_view key) {
  const auto field = object[key];
  if (field.error() || field.value_unsafe().is_null()) return std::nullopt;
  const element value = field.value_unsafe();
  if (value.is_string()) return std::string(value.get_string().value_unsafe());
  if (value.is_int64()) return std::to_string(value.get_int64().value_unsafe());
  if (value.is_uint64()) return std::to_string(value.get_uint64().value_unsafe());
  throw RowProblem{"the key " + quoted_key(key) + " has the wrong type", type_of(value), "a string or an integer"};
}

simdjson::dom::array require_array(const object& object, std::string_view key) {
  const auto field = object[key];
  if (field.error()) throw RowProblem{"the key " + quoted_key(key) + " is missing", "", "an array"};
  const element value = field.value_unsafe();
  if (!value.is_array())
    throw RowProblem{"the key " + quoted_key(key) + " has the wrong type", type_of(value), "an array"};
  return value.get_array().value_unsafe();
}

object as_object(const element& element, const std::string& place) {
  if (!element.is_object()) throw RowProblem{place + " has the wrong type", type_of(element), "an object"};
  const object found = element.get_object().value_unsafe();
  for (auto one = found.begin(); one != found.end(); ++one) {
    for (auto before = found.begin(); before != one; ++before) {
      if (before.key() == one.key())
        throw RowProblem{place + " has the key " + quoted_key(one.key()) + " twice", "", ""};
    }
  }
  return found;
}

std::string read_answer(const object& object, std::string_view key, Answers answers) {
  return answers == Answers::kOptional ? optional_string(object, key) : require_string(object, key);
}

void split_answer(std::string_view place, Answers answers, Row& row) {
  const std::string field = quoted_key(place);
  if (row.messages.empty()) throw RowProblem{field + " is empty", "", "a user message and the assistant's answer"};
  if (row.messages.back().role == "assistant") {
    row.answer = std::move(row.messages.back().content);
    row.messages.pop_back();
  } else if (answers == Answers::kRequired) {
    throw RowProblem{field + " doesn't end with the assistant's answer", "`" + row.messages.back().role + "` last", ""};
  }
  for (const Message& message : row.messages) {
    if (message.role == "user") return;
  }
  throw RowProblem{field + " has no user message before the answer", "", "at least one"};
}

}  // namespace moelora::data
