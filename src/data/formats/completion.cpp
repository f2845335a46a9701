// {"prompt", "completion"}: the prompt becomes a user message (and plain text where there is no chat template).
#include "data/formats/fields.h"
#include "data/formats/readers.h"

namespace moelora::data {

void read_completion(const simdjson::dom::object& object, Answers answers, Row& row) {
  row.messages.push_back({"user", require_string(object, "prompt")});
  row.answer = read_answer(object, "completion", answers);
}

}  // namespace moelora::data
