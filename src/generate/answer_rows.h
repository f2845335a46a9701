// Many rows answered in batches that mix their tasks, and their answers in the rows' order.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "generate/text_engine.h"

namespace moelora::generate {

struct RowAnswer {
  int64_t row = 0;
  int64_t sample = 0;
  TextAnswer answer;
};

struct AnswerRowsOptions {
  int64_t samples = 1;  // of each row
  int64_t first = 0;    // answers that are there already: rows and samples before it are left out
  int64_t ahead = 64;   // answers that may wait for an earlier one
};

/// Hands over row 0's samples, then row 1's, and so on, each as soon as those before it are there. The id of sample s
/// of row r is r * samples + s: what is drawn doesn't depend on `first`. Throws Error (kInterrupted) between steps.
void answer_rows(TextEngine& engine, std::span<const TextRequest> rows, const AnswerRowsOptions& options,
                 const std::function<void(RowAnswer)>& on_answer);

}  // namespace moelora::generate
