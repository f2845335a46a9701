#include <map>

#include "eval/answer_reader.h"
#include "eval/segment.h"

namespace moelora::eval {
namespace {

void read_label(std::string_view text, AnswerReader& reader) {
  if (text.find('\n') != std::string_view::npos) return reader.unreadable(text);
  const std::string label = reader.canonical(text);
  reader.add(label, label);
}

void read_set(std::string_view text, AnswerReader& reader) {
  if (text.find_first_not_of(" \t\r\n;") == std::string_view::npos) return reader.unreadable(text);
  for (const std::string_view line : non_empty_lines(text)) {
    for (const std::string_view part : split_trimmed(line, ";")) {
      const std::string item = reader.canonical(part);
      reader.add(item, item);
    }
  }
}

// (first | second | third)
void read_triple(std::string_view line, AnswerReader& reader) {
  if (line.size() < 2 || line.front() != '(' || line.back() != ')') return reader.unreadable(line);
  const std::string_view inside = line.substr(1, line.size() - 2);
  const size_t bar1 = inside.find('|');
  const size_t bar2 = bar1 == std::string_view::npos ? bar1 : inside.find('|', bar1 + 1);
  if (bar2 == std::string_view::npos || inside.find('|', bar2 + 1) != std::string_view::npos)
    return reader.unreadable(line);
  const std::string first = reader.canonical(inside.substr(0, bar1));
  const std::string second = reader.canonical(inside.substr(bar1 + 1, bar2 - bar1 - 1));
  const std::string third = reader.canonical(inside.substr(bar2 + 1));
  if (first.empty() || second.empty() || third.empty()) return reader.unreadable(line);
  reader.add(first + " | " + second + " | " + third, second);
}

// field: value; field: value
void read_event(std::string_view line, AnswerReader& reader) {
  std::map<std::string, std::string> fields;
  for (const std::string_view part : split_trimmed(line, ";")) {
    const size_t colon = part.find(':');
    if (colon == std::string_view::npos) return reader.unreadable(line);
    const std::string field = reader.canonical(part.substr(0, colon));
    const bool is_new = fields.emplace(field, reader.canonical(part.substr(colon + 1))).second;
    if (field.empty() || !is_new) return reader.unreadable(line);
  }
  std::string event;
  for (const auto& [field, value] : fields) {
    if (value.empty()) continue;
    if (!event.empty()) event += "; ";
    event += field + ": " + value;
  }
  if (event.empty()) return reader.unreadable(line);
  reader.add(event);
}

// finding: status
void read_pair(std::string_view line, AnswerReader& reader) {
  const size_t colon = line.rfind(':');
  if (colon == std::string_view::npos) return reader.unreadable(line);
  const std::string finding = reader.canonical(line.substr(0, colon));
  const std::string status = reader.canonical(line.substr(colon + 1));
  if (finding.empty() || status.empty()) return reader.unreadable(line);
  reader.add(finding + ": " + status, status);
}

// type: item; item
void read_entities(std::string_view line, AnswerReader& reader) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return reader.unreadable(line);
  const std::string type = reader.canonical(line.substr(0, colon));
  if (type.empty()) return reader.unreadable(line);
  for (const std::string_view part : split_trimmed(line.substr(colon + 1), ";")) {
    reader.add(type + ": " + reader.canonical(part), type);
  }
}

}  // namespace

void read_plain(std::string_view text, AnswerReader& reader) {
  if (reader.kind() == AnswerKind::kLabel) return read_label(text, reader);
  if (fold(text) == "none" && !reader.listed("none")) return;
  if (reader.kind() == AnswerKind::kSet) return read_set(text, reader);
  for (const std::string_view line : non_empty_lines(text)) {
    switch (reader.kind()) {
      case AnswerKind::kTriples:
        read_triple(line, reader);
        break;
      case AnswerKind::kEvents:
        read_event(line, reader);
        break;
      case AnswerKind::kPairs:
        read_pair(line, reader);
        break;
      default:
        read_entities(line, reader);
    }
  }
}

}  // namespace moelora::eval
