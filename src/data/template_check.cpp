#include "data/template_check.h"

#include <algorithm>

namespace moelora::data {

bool lacks_chat_template(const Dataset& dataset, const PromptRenderer& renderer) {
  if (!renderer.config().chat || renderer.uses_chat_template()) return false;
  const auto has_prompt = [](const std::vector<Row>& rows) {
    return !std::ranges::all_of(rows, [](const Row& row) { return row.is_text(); });
  };
  return std::ranges::any_of(dataset.tasks,
                             [&](const Task& task) { return std::ranges::any_of(task.rows, has_prompt); });
}

}  // namespace moelora::data
