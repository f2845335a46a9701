// PromptCBLUE: {"input", "target", "answer_choices": [...] | null, "task_type", "task_dataset", "sample_id"}; all but
// the first two are fields that any format may carry.
#include "data/formats/fields.h"
#include "data/formats/readers.h"

namespace moelora::data {

void read_promptcblue(const simdjson::dom::object& object, Answers answers, Row& row) {
  row.messages.push_back({"user", require_string(object, "input")});
  row.answer = read_answer(object, "target", answers);
}

}  // namespace moelora::data
