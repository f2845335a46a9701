// What the two grammars' readers share: collecting items of one answer, checking them against the row's list.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "eval/answer.h"

namespace moelora::eval {

class AnswerReader {
 public:
  explicit AnswerReader(const AnswerRules& rules) : rules_(rules) {
    for (const std::string& choice : rules.choices) list_.insert(canonical(choice));
  }

  AnswerKind kind() const { return rules_.kind; }
  std::string canonical(std::string_view text) const { return canonical_item(text, rules_.grammar); }
  void allow(std::string_view label) {
    if (!list_.empty()) list_.insert(canonical(label));
  }
  bool listed(std::string_view canonical_part) const { return list_.contains(std::string(canonical_part)); }
  bool has_list() const { return !list_.empty(); }

  /// An item that needs no list.
  void add(std::string item) { answer_.items.insert(std::move(item)); }
  /// An item whose `part` (canonical) has to be on the list, if there is one.
  void add(std::string item, std::string_view part) {
    if (has_list() && !listed(part)) answer_.off_list.insert(item);
    answer_.items.insert(std::move(item));
  }
  void unreadable(std::string_view part) { answer_.unreadable.emplace(part); }

  ParsedAnswer take() { return std::move(answer_); }

 private:
  const AnswerRules& rules_;
  std::set<std::string> list_;
  ParsedAnswer answer_;
};

/// `text` is valid UTF-8, trimmed and not empty.
void read_plain(std::string_view text, AnswerReader& reader);
void read_promptcblue(std::string_view text, AnswerReader& reader);

}  // namespace moelora::eval
