// ShareGPT: {"conversations": [{"from", "value"}], "system"}. Speakers: human or user, gpt or assistant, system.
#include "data/formats/fields.h"
#include "data/formats/readers.h"

namespace moelora::data {
namespace {

std::string role_of(const std::string& speaker, const std::string& place) {
  if (speaker == "human" || speaker == "user") return "user";
  if (speaker == "gpt" || speaker == "assistant") return "assistant";
  if (speaker == "system") return "system";
  throw RowProblem{place + " has an unsupported speaker", "a speaker of " + std::to_string(speaker.size()) + " bytes",
                   "human, user, gpt, assistant or system"};
}

}  // namespace

void read_sharegpt(const simdjson::dom::object& object, Answers answers, Row& row) {
  std::string system = optional_string(object, "system");
  if (!system.empty()) row.messages.push_back({"system", std::move(system)});
  int64_t index = 0;
  for (const simdjson::dom::element element : require_array(object, "conversations")) {
    const std::string place = "`conversations`[" + std::to_string(index++) + "]";
    const simdjson::dom::object turn = as_object(element, place);
    row.messages.push_back({role_of(require_string(turn, "from"), place), require_string(turn, "value")});
  }
  split_answer("conversations", answers, row);
}

}  // namespace moelora::data
