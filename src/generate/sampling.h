// From logits to a token: the best one, or a seeded draw. What the settings mean, and the order they are applied in, is
// transformers' (generation/logits_process.py).
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace moelora::generate {

/// Applied in this order: repetition_penalty, temperature, top_k, top_p, min_p.
struct Sampling {
  double temperature = 0;         // 0: greedy, and top_k, top_p, min_p and seed don't matter
  int64_t top_k = 0;              // only tokens no less likely than the k-th best; 0: all
  double top_p = 1;               // only the fewest best tokens whose probabilities add up to at least this
  double min_p = 0;               // only tokens at least so likely, as a share of the best one's probability
  double repetition_penalty = 1;  // of tokens that stand in prompt or answer: see penalise_repetitions
  uint64_t seed = 42;
};

/// Throws Error (kUsage), naming `where`, for a temperature below 0, a top_k below 0, a top_p outside (0, 1], a min_p
/// outside [0, 1] or a repetition_penalty that isn't above 0.
void check_sampling(const Sampling& sampling, const std::string& where);

/// Logits of the tokens in `seen` (each once, all below logits.size()): divided by the penalty where they are positive,
/// multiplied where they are negative (Keskar et al., "CTRL", 2019).
void penalise_repetitions(std::span<float> logits, std::span<const int32_t> seen, double penalty);

/// The most likely token, the first of several. Throws Error (kNumeric) naming the request where a logit is NaN or
/// +infinity, or all are -infinity.
int32_t best_token(std::span<const float> logits, int64_t request);

/// The token at `step` (from 0) of request `request`, by what follows repetition_penalty. Of equal logits the lower id
/// is the better. A draw is a pure function of seed, request, step and the logits. Throws as
/// best_token.
int32_t choose_token(std::span<const float> logits, const Sampling& sampling, int64_t request, int64_t step);

}  // namespace moelora::generate
