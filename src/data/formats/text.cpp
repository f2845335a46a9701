// {"text"}: plain language modelling; every token is supervised.
#include "data/formats/fields.h"
#include "data/formats/readers.h"

namespace moelora::data {

void read_text(const simdjson::dom::object& object, Answers, Row& row) {
  row.answer = require_string(object, "text");
}

}  // namespace moelora::data
