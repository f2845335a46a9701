// One function a format; see formats.h for what each does. Each stands in a file of its name.
#pragma once

#include "data/formats.h"

namespace moelora::data {

void read_promptcblue(const simdjson::dom::object& object, Answers answers, Row& row);
void read_alpaca(const simdjson::dom::object& object, Answers answers, Row& row);
void read_messages(const simdjson::dom::object& object, Answers answers, Row& row);
void read_sharegpt(const simdjson::dom::object& object, Answers answers, Row& row);
void read_completion(const simdjson::dom::object& object, Answers answers, Row& row);
void read_text(const simdjson::dom::object& object, Answers answers, Row& row);

}  // namespace moelora::data
