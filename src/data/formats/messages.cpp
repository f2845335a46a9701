// OpenAI chat rows: {"messages": [{"role", "content"}]}. Content is a string or a list of text parts. The last message
// is the assistant's and becomes the answer; earlier assistant messages are history. Tool calls and other than text
// content aren't trained on silently: they are malformed.
#include "data/formats/fields.h"
#include "data/formats/readers.h"

namespace moelora::data {
namespace {

std::string content_of(const simdjson::dom::object& message, const std::string& place) {
  const auto field = message["content"];
  if (field.error()) throw RowProblem{place + " has no `content`", "", "a string"};
  const simdjson::dom::element content = field.value_unsafe();
  if (content.is_string()) return std::string(content.get_string().value_unsafe());
  if (!content.is_array())
    throw RowProblem{"`content` of " + place + " has the wrong type", type_of(content), "a string"};
  std::string text;
  const simdjson::dom::array parts =
      content.get_array().value_unsafe();  // named: the loop must not refer into a temporary
  for (const simdjson::dom::element part : parts) {
    const simdjson::dom::object object = as_object(part, "a part of " + place);
    if (require_string(object, "type") != "text") {
      throw RowProblem{"a part of " + place + " isn't text", "another type",
                       "text alone: images and audio aren't supported"};
    }
    text += require_string(object, "text");
  }
  return text;
}

}  // namespace

void read_messages(const simdjson::dom::object& object, Answers answers, Row& row) {
  int64_t index = 0;
  for (const simdjson::dom::element element : require_array(object, "messages")) {
    const std::string place = "`messages`[" + std::to_string(index++) + "]";
    const simdjson::dom::object message = as_object(element, place);
    std::string role = require_string(message, "role");
    if (role == "developer") role = "system";
    if (role != "system" && role != "user" && role != "assistant") {
      throw RowProblem{place + " has an unsupported role", "a role of " + std::to_string(role.size()) + " bytes",
                       "system, developer, user or assistant"};
    }
    const auto calls = message["tool_calls"];
    if (!calls.error() && !calls.value_unsafe().is_null()) {
      throw RowProblem{place + " has `tool_calls`, which aren't supported", "", "text content alone"};
    }
    row.messages.push_back({std::move(role), content_of(message, place)});
  }
  split_answer("messages", answers, row);
}

}  // namespace moelora::data
