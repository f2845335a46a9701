#include "generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
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

int64_t best_token(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) return -1;
    if (logits[i] > logits[best]) best = i;
  }
  return logits.empty() || !std::isfinite(logits[best]) ? -1 : static_cast<int64_t>(best);
}

}  // namespace

void check_sampling(const Sampling& sampling, const std::string& where) {
  require(std::isfinite(sampling.temperature) && sampling.temperature >= 0, where, "temperature", sampling.temperature,
          "0 (greedy) or more");
  require(sampling.top_k >= 0, where, "top_k", static_cast<double>(sampling.top_k), "0 (all tokens) or more");
  require(sampling.top_p > 0 && sampling.top_p <= 1, where, "top_p", sampling.top_p, "above 0, at most 1");
}

int32_t choose_token(std::span<const float> logits, const Sampling& sampling, int64_t request, int64_t step) {
  const int64_t best = best_token(logits);
  if (best < 0) {
    throw Error(ErrorKind::kNumeric, {.where = "request " + std::to_string(request),
                                      .problem = "the logits of a generated token aren't finite",
                                      .hint = "is the adapter or the base damaged? `train.dtype: float32` rules out "
                                              "overflow"});
  }
  if (sampling.temperature == 0) return static_cast<int32_t>(best);

  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [&](int32_t a, int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  const bool some = sampling.top_k > 0 && sampling.top_k < static_cast<int64_t>(order.size());
  if (some) {
    std::partial_sort(order.begin(), order.begin() + sampling.top_k, order.end(), better);
    order.resize(sampling.top_k);
  } else if (sampling.top_p < 1) {
    std::sort(order.begin(), order.end(), better);
  }
  std::vector<double> sums(order.size());  // of weights relative to the best token's
  double sum = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    sum += std::exp((static_cast<double>(logits[order[i]]) - logits[best]) / sampling.temperature);
    sums[i] = sum;
  }
  if (sampling.top_p < 1) {
    const auto last = std::lower_bound(sums.begin(), sums.end(), sampling.top_p * sum);
    sums.resize(std::min<size_t>(last - sums.begin() + 1, sums.size()));
  }
  Random random(sampling.seed, RandomStream::kSampling, static_cast<uint64_t>(request), static_cast<uint32_t>(step));
  const auto drawn = std::upper_bound(sums.begin(), sums.end(), random.uniform() * sums.back());
  return order[std::min<size_t>(drawn - sums.begin(), sums.size() - 1)];
}

}  // namespace moelora::generate
