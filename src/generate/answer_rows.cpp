#include "generate/answer_rows.h"

#include <map>

#include "core/interrupt.h"

namespace moelora::generate {

void answer_rows(TextEngine& engine, std::span<const TextRequest> rows, const AnswerRowsOptions& options,
                 const std::function<void(RowAnswer)>& on_answer) {
  const int64_t all = std::ssize(rows) * options.samples;
  int64_t submitted = options.first, next = options.first;  // next: the answer to be handed over
  std::map<int64_t, TextAnswer> early;
  while (next < all) {
    throw_if_interrupted();
    for (; submitted < all && submitted < next + options.ahead; ++submitted) {
      TextRequest request = rows[submitted / options.samples];
      request.request.id = submitted;
      engine.submit(std::move(request));
    }
    for (TextAnswer& answer : engine.step()) early.emplace(answer.id, std::move(answer));
    for (auto found = early.find(next); found != early.end(); found = early.find(++next)) {
      on_answer({.row = next / options.samples, .sample = next % options.samples, .answer = std::move(found->second)});
      early.erase(found);
    }
  }
}

}  // namespace moelora::generate
