// From logits to a token: the best one, or a seeded draw.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace moelora::generate {

/// Applied in this order: temperature, top_k, top_p.
struct Sampling {
  double temperature = 0;  // 0: greedy, and nothing below matters
  int64_t top_k = 0;       // only the k best tokens; 0: all
  double top_p = 1;        // only the fewest best tokens whose probabilities add up to at least this
  uint64_t seed = 42;
};

/// Throws Error (kUsage), naming `where`, for a temperature below 0, a top_k below 0 or a top_p outside (0, 1].
void check_sampling(const Sampling& sampling, const std::string& where);

/// The token at `step` (from 0) of request `request`. Of equal logits the lower id is the better. A draw is a pure
/// function of seed, request, step and the logits. Throws Error (kNumeric) where a logit is NaN or +infinity, or all
/// are -infinity.
int32_t choose_token(std::span<const float> logits, const Sampling& sampling, int64_t request, int64_t step);

}  // namespace moelora::generate
