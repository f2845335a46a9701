#include "generate/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moelora::generate {
namespace {

double log_sum_exp(std::span<const float> logits) {
  const double most = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum);
}

}  // namespace

TokenLogprobs logprobs_of(std::span<const float> logits, int32_t token, int64_t top) {
  const double log_sum = log_sum_exp(logits);
  TokenLogprobs result{.chosen = {token, logits[token] - log_sum}};
  if (top <= 0) return result;
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto last = order.begin() + std::min(top, std::ssize(order));
  std::partial_sort(order.begin(), last, order.end(),
                    [&](int32_t a, int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  for (auto it = order.begin(); it != last; ++it) result.top.push_back({*it, logits[*it] - log_sum});
  return result;
}

}  // namespace moelora::generate
