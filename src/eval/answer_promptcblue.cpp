// The answer formats that the PromptCBLUE data and its public evaluation use (github.com/michael-wzhu/PromptCBLUE, its
// task descriptions and its post-processing script).
#include <array>

#include "eval/answer_reader.h"
#include "eval/segment.h"

namespace moelora::eval {
namespace {

constexpr std::string_view kComma = "，";
constexpr std::string_view kSemicolon = "；";
constexpr std::string_view kColon = "：";
constexpr std::string_view kStop = "。";
constexpr size_t kNowhere = std::string_view::npos;

bool strip_prefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

bool ends_in_colon(std::string_view line) {
  return line.ends_with(kColon) || line.ends_with(":");
}

// "没有对应的标准化实体", "上述句子没有指定类型实体"
bool says_none(std::string_view text) {
  if (text.find('\n') != kNowhere || text.find(kColon) != kNowhere) return false;
  for (const std::string_view lead : {"上述", "给定的", "给定", "当前"}) {
    if (strip_prefix(&text, lead)) break;
  }
  for (const std::string_view what : {"句子", "对话", "文本"}) {
    if (strip_prefix(&text, what)) break;
  }
  strip_prefix(&text, "中");
  return text.starts_with("没有");
}

void read_label(std::string_view text, AnswerReader& reader) {
  if (text.find('\n') != kNowhere) return reader.unreadable(text);
  reader.allow("非上述类型");
  reader.add(std::string(text), text);
}

void read_set(std::string_view text, AnswerReader& reader) {
  const std::string_view line = non_empty_lines(text).back();
  if (says_none(line) && !reader.listed(line)) return;
  const auto items = split_trimmed(line, kComma);
  if (items.empty()) return reader.unreadable(line);
  for (const std::string_view item : items) reader.add(std::string(item), item);
}

// Both printed forms of a pair: 头实体为H，尾实体为T and 头实体：H，尾实体：T.
void read_head_and_tail(std::string_view piece, std::string_view relation, AnswerReader& reader) {
  std::string_view rest = piece;
  std::string_view tail_mark;
  if (strip_prefix(&rest, "头实体为")) {
    tail_mark = "，尾实体为";
  } else if (strip_prefix(&rest, "头实体：")) {
    tail_mark = "，尾实体：";
  }
  const size_t end = tail_mark.empty() ? kNowhere : rest.find(tail_mark);
  if (end == kNowhere || relation.empty()) return reader.unreadable(piece);
  const std::string_view head = trim(rest.substr(0, end));
  const std::string_view tail = trim(rest.substr(end + tail_mark.size()));
  if (head.empty() || tail.empty()) return reader.unreadable(piece);
  reader.add(std::string(head).append(" | ").append(relation).append(" | ").append(tail), relation);
}

// "具有R关系的头尾实体对如下：" or "上述句子中R关系的实体对如下：" -> R; empty where the line has another form.
std::string_view relation_of_heading(std::string_view heading) {
  const size_t end = heading.rfind("关系的");
  if (end == kNowhere) return "";
  heading = heading.substr(0, end);
  if (!strip_prefix(&heading, "具有") && !strip_prefix(&heading, "上述句子中")) return "";
  strip_prefix(&heading, "具有");
  return trim(heading);
}

void read_triples(std::string_view text, AnswerReader& reader) {
  constexpr std::string_view kHeadingEnd = "实体对如下";
  std::string_view relation;
  for (std::string_view line : non_empty_lines(text)) {
    const size_t heading_end = line.find(kHeadingEnd);
    if (heading_end != kNowhere) {
      relation = relation_of_heading(line.substr(0, heading_end));
      if (relation.empty()) reader.unreadable(line);
      line.remove_prefix(heading_end + kHeadingEnd.size());
      strip_prefix(&line, kColon) || strip_prefix(&line, ":");
    }
    const bool short_form = line.find("头实体：") != kNowhere;
    for (const std::string_view piece : split_trimmed(line, short_form ? kSemicolon : kStop)) {
      read_head_and_tail(piece, relation, reader);
    }
  }
}

constexpr std::array<std::string_view, 4> kEventKeys = {"主体词", "发生状态", "描述词", "解剖部位"};

// The key that the piece opens with, cut off together with its colon; kEventKeys.size() where there is none.
size_t event_key(std::string_view* piece) {
  for (size_t i = 0; i < kEventKeys.size(); ++i) {
    std::string_view rest = *piece;
    if (strip_prefix(&rest, kEventKeys[i]) && strip_prefix(&rest, kColon)) {
      *piece = rest;
      return i;
    }
  }
  return kEventKeys.size();
}

void read_event(std::string_view line, bool is_first, AnswerReader& reader) {
  std::array<std::string, kEventKeys.size()> values;
  std::array<bool, kEventKeys.size()> seen{};
  size_t key = kEventKeys.size();
  for (std::string_view piece : split_trimmed(line, kSemicolon)) {
    const size_t next = event_key(&piece);
    if (next == kEventKeys.size()) {
      if (key == kEventKeys.size()) break;
      values[key].append(kSemicolon).append(piece);  // a value that holds the separator itself
      continue;
    }
    if (seen[next]) return reader.unreadable(line);
    key = next;
    seen[key] = true;
    values[key] = trim(piece);
  }
  if (key == kEventKeys.size()) {
    if (!(is_first && (ends_in_colon(line) || line.starts_with("上述")))) reader.unreadable(line);
    return;
  }
  std::string event;
  for (size_t i = 0; i < values.size(); ++i) {
    std::string value;  // lists keep their order, as in the public evaluation; spaces around their members don't count
    for (const std::string_view part : split_trimmed(values[i], kComma)) {
      if (!value.empty()) value += kComma;
      value += part;
    }
    if (i > 0) event += kSemicolon;
    event.append(kEventKeys[i]).append(kColon).append(value);
  }
  reader.add(std::move(event));
}

void read_pair(std::string_view line, bool is_first, AnswerReader& reader) {
  if (is_first && ends_in_colon(line)) return;
  const size_t colon = line.rfind(kColon);
  if (colon == kNowhere) return reader.unreadable(line);
  const std::string_view finding = trim(line.substr(0, colon));
  const std::string_view status = trim(line.substr(colon + kColon.size()));
  if (finding.empty() || status.empty()) return reader.unreadable(line);
  reader.add(std::string(finding).append(kColon).append(status), status);
}

void read_entities(std::string_view line, bool is_first, AnswerReader& reader) {
  constexpr std::string_view kMark = "实体：";
  const size_t mark = line.find(kMark);
  const std::string_view type = trim(line.substr(0, mark == kNowhere ? 0 : mark));
  if (type.empty()) {
    if (!(is_first && ends_in_colon(line))) reader.unreadable(line);
    return;
  }
  for (const std::string_view item : split_trimmed(line.substr(mark + kMark.size()), kComma)) {
    reader.add(std::string(type).append(kColon).append(item), type);
  }
}

}  // namespace

void read_promptcblue(std::string_view text, AnswerReader& reader) {
  if (reader.kind() == AnswerKind::kLabel) return read_label(text, reader);
  if (reader.kind() == AnswerKind::kSet) return read_set(text, reader);
  if (says_none(text)) return;
  if (reader.kind() == AnswerKind::kTriples) return read_triples(text, reader);
  bool is_first = true;
  for (const std::string_view line : non_empty_lines(text)) {
    if (reader.kind() == AnswerKind::kEvents) {
      read_event(line, is_first, reader);
    } else if (reader.kind() == AnswerKind::kPairs) {
      read_pair(line, is_first, reader);
    } else {
      read_entities(line, is_first, reader);
    }
    is_first = false;
  }
}

std::vector<std::pair<std::string, std::string>> report_sections(std::string_view text) {
  constexpr std::array<std::string_view, 6> kSections = {"主诉", "现病史", "辅助检查", "既往史", "诊断", "建议"};
  std::vector<std::pair<std::string, std::string>> sections;
  for (const std::string_view line : non_empty_lines(text)) {
    for (const std::string_view name : kSections) {
      std::string_view rest = line;
      if (strip_prefix(&rest, name) && strip_prefix(&rest, kColon)) sections.emplace_back(name, trim(rest));
    }
  }
  return sections;
}

}  // namespace moelora::eval
