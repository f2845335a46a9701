#include "data/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/random.h"

namespace moelora::data {
namespace {

// Sub-streams of RandomStream::kOrder within an epoch; each task has one of its own from kFirstTask on.
constexpr uint32_t kShuffle = 0;
constexpr uint32_t kQuota = 1;
constexpr uint32_t kFirstTask = 2;

}  // namespace

Sampler::Sampler(const EncodedRows& rows, SamplerOptions options) : options_(options), samples_(rows.size()) {
  if (!(options_.temperature > 0)) {
    throw Error(ErrorKind::kConfig,
                {"train.temperature", "the temperature must be positive", std::to_string(options_.temperature), "> 0"});
  }
  if (options_.batch_size < 1) {
    throw Error(ErrorKind::kConfig,
                {"train.batch_size", "a step needs samples", std::to_string(options_.batch_size), "at least 1"});
  }
  if (samples_ == 0)
    throw Error(ErrorKind::kData, {"data", "there is no training sample: every row was dropped or none was given"});
  by_task_.resize(rows.task_count());
  for (int64_t sample = 0; sample < samples_; ++sample) by_task_[rows.task(sample)].push_back(sample);

  // Relative to the largest task, so that small temperatures don't overflow.
  size_t largest = 0;
  for (const std::vector<int64_t>& samples : by_task_) largest = std::max(largest, samples.size());
  double total = 0;
  for (const std::vector<int64_t>& samples : by_task_) {
    const double share = static_cast<double>(samples.size()) / static_cast<double>(largest);
    const double drawn =
        options_.shares.empty() ? std::pow(share, 1 / options_.temperature) : options_.shares.at(expected_.size());
    expected_.push_back(samples.empty() ? 0 : drawn);
    total += expected_.back();
  }
  for (size_t task = 0; task < by_task_.size(); ++task) {
    expected_[task] *= static_cast<double>(samples_) / total;
    if (options_.shares.empty() && options_.temperature == 1)
      expected_[task] = static_cast<double>(by_task_[task].size());  // exactly
  }
}

std::vector<Draw> Sampler::epoch(int64_t epoch) const {
  const uint64_t number = static_cast<uint64_t>(epoch);
  const double offset = Random(options_.seed, RandomStream::kOrder, number, kQuota).uniform();
  std::vector<int64_t> order;
  order.reserve(samples_);
  double cumulative = 0;
  int64_t drawn = 0;
  size_t last = 0;
  for (size_t task = 0; task < by_task_.size(); ++task) {
    if (!by_task_[task].empty()) last = task;
  }
  for (size_t task = 0; task <= last; ++task) {
    std::vector<int64_t> samples = by_task_[task];
    if (samples.empty()) continue;
    cumulative += expected_[task];
    const int64_t until =
        task == last ? samples_ : std::min(samples_, static_cast<int64_t>(std::floor(cumulative + offset)));
    int64_t quota = until - drawn;
    drawn = until;
    const int64_t count = static_cast<int64_t>(samples.size());
    for (; quota >= count; quota -= count) order.insert(order.end(), samples.begin(), samples.end());
    Random random(options_.seed, RandomStream::kOrder, number, kFirstTask + static_cast<uint32_t>(task));
    for (int64_t i = 0; i < quota; ++i) {
      std::swap(samples[i], samples[i + static_cast<int64_t>(random.below(count - i))]);
      order.push_back(samples[i]);
    }
  }
  Random random(options_.seed, RandomStream::kOrder, number, kShuffle);
  shuffle(order, random);
  std::vector<Draw> draws;
  draws.reserve(order.size());
  for (const int64_t sample : order) draws.push_back({sample, epoch * samples_ + static_cast<int64_t>(draws.size())});
  return draws;
}

Cursor Sampler::after(Cursor cursor) const {
  if (++cursor.step < steps_per_epoch()) return cursor;
  return {cursor.epoch + 1, 0};
}

std::span<const Draw> Sampler::step(std::span<const Draw> epoch_draws, int64_t step) const {
  const int64_t begin = step * options_.batch_size;
  return epoch_draws.subspan(begin, std::min(options_.batch_size, static_cast<int64_t>(epoch_draws.size()) - begin));
}

std::vector<double> supervised_shares(const EncodedRows& rows, const Sampler& sampler) {
  std::vector<double> shares = sampler.expected_draws();
  double total = 0;
  for (size_t task = 0; task < shares.size(); ++task) {
    const TaskTokens& stats = rows.stats()[task];
    if (stats.samples > 0)
      shares[task] *= static_cast<double>(stats.answer_tokens) / static_cast<double>(stats.samples);
    total += shares[task];
  }
  for (double& share : shares) share /= total > 0 ? total : 1;
  return shares;
}

}  // namespace moelora::data
