#include "generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace moelora::generate {
namespace {

void require(bool right, const std::string& where, const char* name, double found, const char* expected) {
  if (right) return;
  throw Error(ErrorKind::kUsage, {.where = where,
                                  .problem = std::string(name) + " out of range",
                                  .found = std::to_string(found),
                                  .expected = expected});
}

/// The k-th largest logit; all are at least as large where there are fewer than k.
float kth_largest(std::span<const float> logits, int64_t k) {
  std::vector<float> sorted(logits.begin(), logits.end());
  const auto kth = sorted.begin() + std::min(k, std::ssize(sorted)) - 1;
  std::nth_element(sorted.begin(), kth, sorted.end(), std::greater());
  return *kth;
}

struct Candidate {
  double weight;  // relative to the best token's
  int32_t token;
  bool operator<(const Candidate& better) const {
    return weight != better.weight ? weight < better.weight : token > better.token;
  }
};

double sum_of(const std::vector<Candidate>& candidates) {
  double sum = 0;
  for (const Candidate& one : candidates) sum += one.weight;
  return sum;
}

/// The fewest best ones that have at least `share` of the whole weight.
void keep_share(std::vector<Candidate>& candidates, double share) {
  const double enough = share * sum_of(candidates);
  std::make_heap(candidates.begin(), candidates.end());
  double sum = 0;
  auto rest = candidates.end();  // [rest, end): the best ones, taken out of the heap before it
  while (rest != candidates.begin() && sum < enough) {
    std::pop_heap(candidates.begin(), rest);
    sum += (--rest)->weight;
  }
  candidates.erase(candidates.begin(), rest);
}

std::vector<Candidate> candidates_of(std::span<const float> logits, float best, const Sampling& sampling) {
  const float least = sampling.top_k > 0 ? kth_largest(logits, sampling.top_k) : -INFINITY;
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] < least) continue;
    const double weight = std::exp((static_cast<double>(logits[i]) - best) / sampling.temperature);
    if (weight > 0) candidates.push_back({weight, static_cast<int32_t>(i)});
  }
  if (sampling.top_p < 1) keep_share(candidates, sampling.top_p);
  if (sampling.min_p > 0) {
    std::erase_if(candidates, [&](const Candidate& one) { return one.weight < sampling.min_p; });
  }
  return candidates;
}

}  // namespace

void check_sampling(const Sampling& sampling, const std::string& where) {
  require(std::isfinite(sampling.temperature) && sampling.temperature >= 0, where, "temperature", sampling.temperature,
          "0 (greedy) or more");
  require(sampling.top_k >= 0, where, "top_k", static_cast<double>(sampling.top_k), "0 (all tokens) or more");
  require(sampling.top_p > 0 && sampling.top_p <= 1, where, "top_p", sampling.top_p, "above 0, at most 1");
  require(sampling.min_p >= 0 && sampling.min_p <= 1, where, "min_p", sampling.min_p, "0 (all tokens) to 1");
  require(std::isfinite(sampling.repetition_penalty) && sampling.repetition_penalty > 0, where, "repetition_penalty",
          sampling.repetition_penalty, "above 0; 1 changes nothing");
}

void penalise_repetitions(std::span<float> logits, std::span<const int32_t> seen, double penalty) {
  const float factor = static_cast<float>(penalty);
  for (const int32_t token : seen) logits[token] = logits[token] < 0 ? logits[token] * factor : logits[token] / factor;
}

int32_t best_token(std::span<const float> logits, int64_t request) {
  size_t best = 0;
  bool numbers = !logits.empty();
  for (size_t i = 0; i < logits.size(); ++i) {
    numbers = numbers && !std::isnan(logits[i]);
    if (logits[i] > logits[best]) best = i;
  }
  if (!numbers || !std::isfinite(logits[best])) {
    throw Error(ErrorKind::kNumeric, {.where = "request " + std::to_string(request),
                                      .problem = "the logits of a token aren't finite",
                                      .hint = "is the adapter or the base damaged? `train.dtype: float32` rules out "
                                              "overflow"});
  }
  return static_cast<int32_t>(best);
}

int32_t choose_token(std::span<const float> logits, const Sampling& sampling, int64_t request, int64_t step) {
  const int32_t best = best_token(logits, request);
  if (sampling.temperature == 0) return best;
  const std::vector<Candidate> candidates = candidates_of(logits, logits[best], sampling);
  Random random(sampling.seed, RandomStream::kSampling, static_cast<uint64_t>(request), static_cast<uint32_t>(step));
  double left = random.uniform() * sum_of(candidates);
  for (const Candidate& one : candidates) {
    left -= one.weight;
    if (left < 0) return one.token;
  }
  return candidates.back().token;  // where rounding left a little
}

}  // namespace moelora::generate
