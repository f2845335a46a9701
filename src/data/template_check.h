// Whether rows need a chat template that the model doesn't have.
#pragma once

#include "data/dataset.h"
#include "data/prompt.h"

namespace moelora::data {

/// The configuration asks for a chat template, the model has none, and some row has a prompt to be rendered: rows of
/// the text format have none.
bool lacks_chat_template(const Dataset& dataset, const PromptRenderer& renderer);

}  // namespace moelora::data
