// The row formats that are read, how one is recognised by its keys, and how a JSON object becomes a Row.
//
//   promptcblue  input, target
//   alpaca       instruction, output [, input, system, history]
//   messages     messages: [{role, content}]                      (OpenAI)
//   sharegpt     conversations: [{from, value}] [, system]
//   completion   prompt, completion
//   text         text                                             (plain language modelling: every token supervised)
//
// Any of them may carry: a task label (`task`, `task_dataset` or `channel`, the first one present), `id` or
// `sample_id`, `task_type`, `answer_choices` (list, or null), `license` or `licence`, and the configured group field.
// Other keys are ignored. Where answers are optional (prompts to generate from) target, output, completion and the
// conversation's last turn may be missing. A format is added by one file in formats/ and one line in formats.cpp.
#pragma once

#include <simdjson.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/row.h"

namespace moelora::data {

/// What is wrong with a row, without where: the reader adds file and line. Holds key names and types, never values.
struct RowProblem {
  std::string problem;
  std::string found;
  std::string expected;
};

/// Whether rows must have an answer (to be learned, or compared with), or are prompts that may have one.
enum class Answers { kRequired, kOptional };

struct Format {
  std::string name;
  std::vector<std::string> keys;  // a row of the format has all of these
  std::string answer_key;         // the one of them that may be missing where answers are optional; empty: none
  /// Fills messages and answer. Throws RowProblem.
  void (*read)(const simdjson::dom::object& object, Answers answers, Row& row);

  bool fits(const simdjson::dom::object& object, Answers answers) const;
};

/// All formats, in the order above.
std::span<const Format> formats();

/// Throws Error(kConfig) naming `where`, with the nearest valid name.
const Format& format_by_name(std::string_view name, std::string_view where);

/// The one format whose keys the row has. Throws Error(kData), naming `where`, when none or several fit: nothing is
/// guessed. `text` is detected only where every other key is one that any format may carry.
const Format& detect_format(const simdjson::dom::object& object, std::string_view group_key, Answers answers,
                            std::string_view where);

/// The keys every format may carry: task label, id, group, task_type, answer_choices. Throws RowProblem.
void read_common_fields(const simdjson::dom::object& object, std::string_view group_key, Row& row);

}  // namespace moelora::data
