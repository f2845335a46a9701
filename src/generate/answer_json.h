// One answer as a line of JSON: what `moelora generate` prints and writes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/row.h"
#include "generate/answer_rows.h"

namespace moelora::generate {

/// {"line", "id" (where the row has one), "task", "sample", "answer", "finish_reason", "prompt_tokens", "new_tokens"},
/// "labels": {label: probability} where the answer was chosen, "logprobs": [{"token", "id", "logprob", "top"}] where
/// they were asked for.
nlohmann::ordered_json answer_json(const data::Row& row, const TextRequest& request, const RowAnswer& answer,
                                   const text::Tokenizer& tokenizer);

}  // namespace moelora::generate
