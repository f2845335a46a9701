#include "config/value.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/suggest.h"

namespace moelora::config {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

/// A whole plain scalar as a number; nothing where it isn't one or doesn't fit.
template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

std::optional<bool> bool_in(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

/// The shortest text that reads back exactly, in a form that YAML 1.1 readers take for a number too (they want a point
/// before an e).
std::string number_text(double value) {
  char buffer[64];
  const double size = std::abs(value);
  const bool is_fixed = value == 0 || (size >= 1e-5 && size < 1e15);
  const auto format = is_fixed ? std::chars_format::fixed : std::chars_format::scientific;
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value, format).ptr);
  const size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) text.insert(exponent, ".0");
  return text;
}

/// Whether a plain scalar of these characters reads back as this text and nothing else.
bool is_plain(std::string_view text) {
  if (text.empty() || text.size() > 200) return false;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  for (const char c : text) {
    if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '.' && c != '/' && c != '-') return false;
  }
  if (!is_letter(text[0]) && text[0] != '/') return false;
  for (const char* const word : {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "inf", "nan"}) {
    if (text.size() != std::string_view(word).size()) continue;
    bool same = true;
    for (size_t i = 0; i < text.size(); ++i) same = same && (text[i] | 0x20) == word[i];
    if (same) return false;
  }
  return true;
}

std::string list_text(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) text += (text.size() == 1 ? "" : ", ") + yaml_text(item);
  return text + "]";
}

ValueProblem wrong_type(const YamlNode& node, std::string expected, std::string hint = {}) {
  return {.problem = "wrong type",
          .found = describe(node),
          .expected = std::move(expected),
          .hint = std::move(hint),
          .at = &node};
}

std::optional<ValueProblem> set_text(const YamlNode& node, std::string* text) {
  if (!node.is_scalar()) return wrong_type(node, "text");
  *text = node.scalar;
  return std::nullopt;
}

template <typename Number>
std::optional<ValueProblem> set_number(const YamlNode& node, Number* number) {
  const std::string expected = std::is_floating_point_v<Number> ? "a number"
                               : std::is_signed_v<Number>       ? "an integer"
                                                                : "an integer of at least 0";
  if (!node.is_scalar()) return wrong_type(node, expected);
  const auto value = number_in<Number>(node.scalar);
  if (node.quoted && value) return wrong_type(node, expected, "remove the quotes");
  if (node.quoted || !value) return wrong_type(node, expected);
  *number = *value;
  return std::nullopt;
}

std::optional<ValueProblem> set_bool(const YamlNode& node, bool* flag) {
  const auto value = node.is_scalar() && !node.quoted ? bool_in(node.scalar) : std::nullopt;
  if (!value) return wrong_type(node, "true or false");
  *flag = *value;
  return std::nullopt;
}

std::optional<ValueProblem> set_list(const YamlNode& node, std::vector<std::string>* list) {
  if (node.is_scalar()) {
    *list = {node.scalar};
    return std::nullopt;
  }
  if (!node.is_list()) return wrong_type(node, "a list of text");
  std::vector<std::string> items;
  for (const YamlNode& item : node.items) {
    if (!item.is_scalar()) return wrong_type(item, "text");
    items.push_back(item.scalar);
  }
  *list = std::move(items);
  return std::nullopt;
}

nlohmann::json json_of(const YamlNode& scalar) {
  if (scalar.is_null()) return nullptr;
  if (scalar.quoted) return scalar.scalar;
  if (const auto flag = bool_in(scalar.scalar)) return *flag;
  if (const auto integer = number_in<int64_t>(scalar.scalar)) return *integer;
  if (const auto number = number_in<double>(scalar.scalar)) return *number;
  return scalar.scalar;
}

std::optional<ValueProblem> set_options(const YamlNode& node, std::map<std::string, std::string>* options) {
  if (!node.is_map() && !node.is_null()) return wrong_type(node, "a mapping of names to values");
  std::map<std::string, std::string> read;
  for (const auto& [key, value] : node.pairs) {
    if (!key.is_scalar()) return wrong_type(key, "a name");
    if (value.is_list() || value.is_map()) return wrong_type(value, "text, a number, true, false or null");
    if (!read.emplace(key.scalar, json_of(value).dump()).second) {
      return ValueProblem{.problem = "option `" + key.scalar + "` is given twice", .at = &key};
    }
  }
  *options = std::move(read);
  return std::nullopt;
}

std::optional<ValueProblem> set_choice(const YamlNode& node, const Choice& choice) {
  const std::string expected = list_names(choice.names);
  if (node.is_null() && choice.optional) {
    choice.set(std::nullopt);
    return std::nullopt;
  }
  if (!node.is_scalar()) return wrong_type(node, "one of " + expected);
  const auto alias = choice.aliases.find(node.scalar);
  const std::string& given = alias == choice.aliases.end() ? node.scalar : alias->second;
  for (const std::string& name : choice.names) {
    if (name != given) continue;
    choice.set(name);
    return std::nullopt;
  }
  return ValueProblem{.problem = "unknown value",
                      .found = describe(node),
                      .expected = "one of " + expected,
                      .hint = did_you_mean(node.scalar, choice.names),
                      .at = &node};
}

}  // namespace

std::string type_name(const Slot& slot) {
  return std::visit(Overloaded{[](const std::string*) -> std::string { return "text"; },
                               [](const bool*) -> std::string { return "true or false"; },
                               [](const int64_t*) -> std::string { return "integer"; },
                               [](const uint64_t*) -> std::string { return "integer"; },
                               [](const double*) -> std::string { return "number"; },
                               [](const std::optional<std::string>*) -> std::string { return "text"; },
                               [](const std::optional<int64_t>*) -> std::string { return "integer"; },
                               [](const std::optional<double>*) -> std::string { return "number"; },
                               [](const std::vector<std::string>*) -> std::string { return "list of text"; },
                               [](const std::map<std::string, std::string>*) -> std::string { return "mapping"; },
                               [](const std::vector<DataSource>*) -> std::string { return "list of sources"; },
                               [](const Choice& choice) {
                                 std::string text;
                                 for (const std::string& name : choice.names) text += (text.empty() ? "" : ", ") + name;
                                 return text;
                               }},
                    slot);
}

std::optional<std::string> value_text(const Slot& slot) {
  using Text = std::optional<std::string>;
  return std::visit(Overloaded{[](const std::string* text) -> Text { return yaml_text(*text); },
                               [](const bool* flag) -> Text { return *flag ? "true" : "false"; },
                               [](const int64_t* number) -> Text { return std::to_string(*number); },
                               [](const uint64_t* number) -> Text { return std::to_string(*number); },
                               [](const double* number) -> Text { return number_text(*number); },
                               [](const std::optional<std::string>* text) -> Text {
                                 return *text ? Text(yaml_text(**text)) : std::nullopt;
                               },
                               [](const std::optional<int64_t>* number) -> Text {
                                 return *number ? Text(std::to_string(**number)) : std::nullopt;
                               },
                               [](const std::optional<double>* number) -> Text {
                                 return *number ? Text(number_text(**number)) : std::nullopt;
                               },
                               [](const std::vector<std::string>* list) -> Text { return list_text(*list); },
                               [](const std::map<std::string, std::string>* options) -> Text {
                                 std::string text = "{";
                                 for (const auto& [name, value] : *options) {
                                   const nlohmann::json json = nlohmann::json::parse(value);
                                   text += (text.size() == 1 ? "" : ", ") + yaml_text(name) + ": " +
                                           (json.is_string() ? yaml_text(json.get<std::string>()) : value);
                                 }
                                 return text + "}";
                               },
                               [](const std::vector<DataSource>*) -> Text { return std::nullopt; },
                               [](const Choice& choice) -> Text { return choice.get(); }},
                    slot);
}

std::string yaml_text(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      quoted += "\\x";
      quoted += "0123456789ABCDEF"[byte >> 4];
      quoted += "0123456789ABCDEF"[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a mapping";
    case YamlNode::Kind::kScalar:
      break;
  }
  constexpr size_t kLongest = 60;
  std::string text = node.scalar;
  if (text.size() > kLongest) {
    size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
    text = text.substr(0, end) + "…";
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return node.quoted ? "the text \"" + text + "\"" : "`" + text + "`";
}

std::optional<ValueProblem> set_value(const YamlNode& node, const Slot& slot) {
  using Problem = std::optional<ValueProblem>;
  return std::visit(
      Overloaded{[&](std::string* text) -> Problem { return set_text(node, text); },
                 [&](bool* flag) -> Problem { return set_bool(node, flag); },
                 [&](int64_t* number) -> Problem { return set_number(node, number); },
                 [&](uint64_t* number) -> Problem { return set_number(node, number); },
                 [&](double* number) -> Problem { return set_number(node, number); },
                 [&](std::optional<std::string>* text) -> Problem {
                   std::string value;
                   const Problem problem = node.is_null() ? std::nullopt : set_text(node, &value);
                   if (!problem) *text = node.is_null() ? std::nullopt : std::optional<std::string>(value);
                   return problem;
                 },
                 [&](std::optional<int64_t>* number) -> Problem {
                   int64_t value = 0;
                   const Problem problem = node.is_null() ? std::nullopt : set_number(node, &value);
                   if (!problem) *number = node.is_null() ? std::nullopt : std::optional<int64_t>(value);
                   return problem;
                 },
                 [&](std::optional<double>* number) -> Problem {
                   double value = 0;
                   const Problem problem = node.is_null() ? std::nullopt : set_number(node, &value);
                   if (!problem) *number = node.is_null() ? std::nullopt : std::optional<double>(value);
                   return problem;
                 },
                 [&](std::vector<std::string>* list) -> Problem { return set_list(node, list); },
                 [&](std::map<std::string, std::string>* options) -> Problem { return set_options(node, options); },
                 [&](std::vector<DataSource>*) -> Problem { return wrong_type(node, "sources"); },
                 [&](const Choice& choice) -> Problem { return set_choice(node, choice); }},
      slot);
}

bool Range::holds(double value) const {
  if (low == Bound::kInclusive && !(value >= least)) return false;
  if (low == Bound::kExclusive && !(value > least)) return false;
  if (high == Bound::kInclusive && !(value <= most)) return false;
  if (high == Bound::kExclusive && !(value < most)) return false;
  return true;
}

std::string Range::text() const {
  const std::string lower = low == Bound::kNone ? "" : (low == Bound::kInclusive ? ">= " : "> ") + number_text(least);
  const std::string upper = high == Bound::kNone ? "" : (high == Bound::kInclusive ? "<= " : "< ") + number_text(most);
  return lower.empty() || upper.empty() ? lower + upper : lower + " and " + upper;
}

std::optional<double> number_of(const Slot& slot) {
  if (const auto* const* number = std::get_if<int64_t*>(&slot)) return static_cast<double>(**number);
  if (const auto* const* number = std::get_if<uint64_t*>(&slot)) return static_cast<double>(**number);
  if (const auto* const* number = std::get_if<double*>(&slot)) return **number;
  if (const auto* const* number = std::get_if<std::optional<int64_t>*>(&slot); number && **number) {
    return static_cast<double>(***number);
  }
  if (const auto* const* number = std::get_if<std::optional<double>*>(&slot)) return **number;
  return std::nullopt;
}

}  // namespace moelora::config
