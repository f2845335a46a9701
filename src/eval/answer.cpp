#include "eval/answer.h"

#include "core/error.h"
#include "core/suggest.h"
#include "core/utf8.h"
#include "eval/answer_reader.h"
#include "eval/segment.h"

namespace moelora::eval {

Grammar grammar_from_name(std::string_view name, std::string_view where) {
  static const std::vector<std::string> names = {"auto", "plain", "promptcblue"};
  if (name == names[0]) return Grammar::kAuto;
  if (name == names[1]) return Grammar::kPlain;
  if (name == names[2]) return Grammar::kPromptCblue;
  throw Error(ErrorKind::kConfig, {std::string(where), "unknown answer grammar `" + std::string(name) + "`", "",
                                   list_names(names), did_you_mean(name, names)});
}

Grammar resolve_grammar(Grammar grammar, std::string_view gold, std::span<const std::string> choices) {
  if (grammar != Grammar::kAuto) return grammar;
  if (!first_invalid_utf8(gold) && contains_cjk(gold)) return Grammar::kPromptCblue;
  for (const std::string& choice : choices) {
    if (!first_invalid_utf8(choice) && contains_cjk(choice)) return Grammar::kPromptCblue;
  }
  return Grammar::kPlain;
}

std::string canonical_item(std::string_view text, Grammar grammar) {
  return grammar == Grammar::kPlain ? fold(text) : std::string(trim(text));
}

std::string_view answer_kind_name(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::kLabel:
      return "label";
    case AnswerKind::kSet:
      return "set";
    case AnswerKind::kTriples:
      return "triples";
    case AnswerKind::kEvents:
      return "events";
    case AnswerKind::kPairs:
      return "pairs";
    case AnswerKind::kEntities:
      return "entities";
    case AnswerKind::kText:
      return "text";
  }
  return "";
}

ParsedAnswer parse_answer(std::string_view text, const AnswerRules& rules) {
  AnswerReader reader(rules);
  const std::string_view trimmed = trim(text);
  if (trimmed.empty()) {
    reader.unreadable("");
    return reader.take();
  }
  if (first_invalid_utf8(trimmed)) {
    const std::string replaced = replace_invalid_utf8(trimmed);
    reader.unreadable(replaced);
    if (rules.kind == AnswerKind::kText) reader.add(replaced);
    return reader.take();
  }
  if (rules.kind == AnswerKind::kText) {
    reader.add(std::string(trimmed));
  } else if (rules.grammar == Grammar::kPlain) {
    read_plain(trimmed, reader);
  } else {
    read_promptcblue(trimmed, reader);
  }
  return reader.take();
}

}  // namespace moelora::eval
