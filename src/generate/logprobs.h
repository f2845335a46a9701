// The model's own probabilities of tokens: of its logits as they are, before any setting of sampling.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moelora::generate {

struct TokenLogprob {
  int32_t token = 0;
  double logprob = 0;  // natural logarithm
};

struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;  // the most likely tokens, best first; of equal ones the lower id first
};

/// Log-softmax of the logits at `token`, and at the `top` best ones (at most as many as there are).
TokenLogprobs logprobs_of(std::span<const float> logits, int32_t token, int64_t top);

}  // namespace moelora::generate
