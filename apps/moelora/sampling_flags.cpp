#include "sampling_flags.h"

#include <algorithm>

#include "core/error.h"

namespace moelora::app {

void add_sampling_flags(CLI::App& verb, generate::Wish& wish) {
  generate::Sampling& sampling = wish.sampling;
  verb.add_option("--temperature", sampling.temperature, "0 (default): the most likely token; above: drawn");
  verb.add_option("--top-k", sampling.top_k, "draw among the k most likely tokens; 0: all");
  verb.add_option("--top-p", sampling.top_p, "draw among the fewest tokens whose probabilities reach p; 1: all");
  verb.add_option("--min-p", sampling.min_p, "draw among tokens at least p times as likely as the best; 0: all");
  verb.add_option("--repetition-penalty", sampling.repetition_penalty,
                  "above 1: tokens of prompt and answer become less likely");
  verb.add_option("--seed", sampling.seed, "of the draws; the same seed gives the same answers")->capture_default_str();
  verb.add_option("--max-new-tokens", wish.max_new_tokens, "default: the task's, else eval.max_new_tokens")
      ->check(CLI::Range(1, 1 << 30));
  verb.add_option("--stop", wish.stop, "text that ends the answer and isn't part of it (may be repeated)")
      ->allow_extra_args(false);  // with them CLI11 would read "[END]" as "END"
}

void check_sampling_flags(const CLI::App& verb, const generate::Wish& wish) {
  generate::check_sampling(wish.sampling, "command line");
  if (std::ranges::any_of(wish.stop, &std::string::empty)) {
    throw Error(ErrorKind::kUsage, {.where = "--stop", .problem = "an empty stop string", .expected = "text"});
  }
  if (wish.sampling.temperature > 0) return;
  for (const char* flag : {"--top-k", "--top-p", "--min-p", "--seed"}) {
    if (verb.count(flag) == 0) continue;
    throw Error(ErrorKind::kUsage, {.where = flag,
                                    .problem = "nothing is drawn without a temperature",
                                    .expected = "--temperature above 0 beside it"});
  }
}

}  // namespace moelora::app
