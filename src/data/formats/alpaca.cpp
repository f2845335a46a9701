// Alpaca: {"instruction", "input", "output", "system", "history": [[question, answer], …]}. A non-empty input follows
// the instruction after a newline, as LLaMA-Factory joins them.
#include "data/formats/fields.h"
#include "data/formats/readers.h"

namespace moelora::data {

void read_alpaca(const simdjson::dom::object& object, Answers answers, Row& row) {
  std::string system = optional_string(object, "system");
  if (!system.empty()) row.messages.push_back({"system", std::move(system)});

  const auto history = object["history"];
  if (!history.error() && !history.value_unsafe().is_null()) {
    int64_t turn = 0;
    for (const simdjson::dom::element element : require_array(object, "history")) {
      const std::string place = "`history`[" + std::to_string(turn++) + "]";
      simdjson::dom::array pair;
      if (element.get(pair) || pair.size() != 2 || !pair.at(0).is_string() || !pair.at(1).is_string()) {
        throw RowProblem{place + " isn't a turn", type_of(element), "[question, answer], two strings"};
      }
      row.messages.push_back({"user", std::string(pair.at(0).get_string().value_unsafe())});
      row.messages.push_back({"assistant", std::string(pair.at(1).get_string().value_unsafe())});
    }
  }

  std::string prompt = require_string(object, "instruction");
  const std::string input = optional_string(object, "input");
  if (!input.empty()) prompt += (prompt.empty() ? "" : "\n") + input;
  row.messages.push_back({"user", std::move(prompt)});
  row.answer = read_answer(object, "output", answers);
}

}  // namespace moelora::data
