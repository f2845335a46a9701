// Answers as text -> answers as structure: what a task's target looks like, how a generated answer is read, what is
// malformed.
//
// Two grammars write the same structures. `plain` is ours, for any language; `promptcblue` is the one that benchmark's
// rows use.
//
// PLAIN GRAMMAR (what examples/icd10 writes; every answer is UTF-8 text without a heading line)
//   label     one line, one label of the row's or the task's list:             Neoplasms
//   set       items separated by `;` or a line end, order free:               Acute bronchitis; Chronic bronchitis
//   triples   one a line, in brackets, three parts separated by `|`:          (asthma | severity | mild persistent)
//   events    one a line, `field: value` separated by `;`, fields in any
//             order, any field names, no field twice in an event:              site: femur; kind: fracture
//   pairs     one a line, `finding: status`, split at the line's last `:`:     loss of consciousness: absent
//   entities  one type a line, `type: item; item`, a type without items
//             may stand empty:                                                 drug: aspirin; heparin
//   text      free text, taken whole
// Nothing to say (a set, triples, events, pairs or entities with no member) is the single word `none`. Where `none`
// stands in the row's answer_choices it is an ordinary item instead, and choosing it scores as choosing any other.
// Compared after ASCII lower-casing, trimming and collapsing of white space; an empty item (`a;;b`, a last `;`) is
// skipped; an event field with an empty value is skipped. Items may hold any character but those that separate: no `;`
// or line end in set items, event values and entities; no `|` or line end in parts of a triple (brackets inside a part
// are fine); no line end in pairs; a `:` is safe in event values and in findings, not in field names or statuses.
//
// PROMPTCBLUE GRAMMAR (full-width ，；：。 separate; items compare exactly after trimming, as in its public evaluation)
//   label     one line
//   set       the last line, items separated by ，                             (CHIP-CDN)
//   triples   `具有R关系的头尾实体对如下：头实体为H，尾实体为T。头实体为…`, or
//             `…中R关系的实体对如下：` and then `头实体：H，尾实体：T；…`,
//             the triples on that line or on the next                          (CMeIE)
//   events    heading line; `主体词：a；发生状态：b；描述词：c，d；解剖部位：e` a line  (CHIP-CDEE)
//   pairs     heading line; `发现：状态` a line                                  (CHIP-MDCFNPC, IMCS-V2-SR)
//   entities  heading line; `T实体：a，b` a line                                 (CMeEE, IMCS-V2-NER)
//   text      free text; a report has a heading line and `主诉：…` sections      (MedDG, IMCS-V2-MRG)
// Nothing to say is a heading without members or a sentence like `没有对应的标准化实体`, `上述句子没有指定类型实体`.
// The label `非上述类型` is always on the list. Where it is stricter than the public script: an item off the row's list
// counts as wrong (the script drops it), and so does a line that can't be read. Where it is more lenient: a missing
// heading line loses nothing.
//
// MALFORMED: an answer that is empty, isn't UTF-8, or holds a line or part the grammar can't read. What could be read
// still counts; each distinct unreadable line or part is one wrong item. A label of several lines is unreadable as a
// whole. No input throws.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moelora::eval {

enum class AnswerKind { kLabel, kSet, kTriples, kEvents, kPairs, kEntities, kText };

enum class Grammar {
  kAuto,  // promptcblue where the gold answer, a choice or a label of the task holds CJK text, plain otherwise
  kPlain,
  kPromptCblue,
};

/// "plain", "promptcblue" or "auto". Throws Error(kConfig), naming `where`, for anything else.
Grammar grammar_from_name(std::string_view name, std::string_view where);

/// The grammar of a row under kAuto, `choices` being all that it is read against: of a classification the task's labels
/// too, else a label would have one canonical form here and another there. Any other `grammar` is returned as it is.
Grammar resolve_grammar(Grammar grammar, std::string_view gold, std::span<const std::string> choices);

/// One answer, read. Duplicates are gone: an answer is a set of items.
struct ParsedAnswer {
  std::set<std::string> items;  // canonical form of each label, item, triple, event or pair; for text the trimmed text
  std::set<std::string> unreadable;  // raw lines or parts; an empty answer is one, the empty one
  std::set<std::string> off_list;    // the items whose listed part is not among the choices (see AnswerRules)

  bool malformed() const { return !unreadable.empty(); }
};

/// What reading needs of the row beside the text. `choices` list the labels, the set's items, the triples' relations
/// (middle part), the pairs' statuses or the entities' types; empty: nothing is off-list. `grammar` must be resolved.
struct AnswerRules {
  AnswerKind kind;
  Grammar grammar = Grammar::kPlain;
  std::span<const std::string> choices;
};

ParsedAnswer parse_answer(std::string_view text, const AnswerRules& rules);

/// The canonical form under which a label or item is compared: plain grammar folds ASCII case and white space,
/// promptcblue trims.
std::string canonical_item(std::string_view text, Grammar grammar);

/// "label", "set", "triples", … for messages.
std::string_view answer_kind_name(AnswerKind kind);

/// The (section, text) parts of a PromptCBLUE report (主诉, 现病史, 辅助检查, 既往史, 诊断, 建议), in order; empty for
/// any other text.
std::vector<std::pair<std::string, std::string>> report_sections(std::string_view text);

}  // namespace moelora::eval
