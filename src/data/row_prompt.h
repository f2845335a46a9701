// The prompt of a row, with the row named in what goes wrong.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/prompt.h"
#include "data/row.h"

namespace moelora::data {

/// PromptRenderer::prompt_ids of the row's messages. Throws Error (kData), naming the row, where the template refuses
/// them.
std::vector<int32_t> row_prompt_ids(const PromptRenderer& renderer, const Row& row, std::string_view task_prompt);

}  // namespace moelora::data
