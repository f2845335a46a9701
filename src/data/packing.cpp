#include "data/packing.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace moelora::data {
namespace {

/// Tokens of a sample that go into the batch: all but the last, which only is predicted.
int64_t inputs(const EncodedRows& rows, int64_t sample) {
  return static_cast<int64_t>(rows.ids(sample).size()) - 1;
}

/// Indices into `draws` of each pack.
std::vector<std::vector<int64_t>> first_fit_decreasing(const EncodedRows& rows, std::span<const Draw> draws,
                                                       int64_t budget) {
  std::vector<int64_t> order(draws.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), [&](int64_t i) { return inputs(rows, draws[i].sample); });
  std::vector<std::vector<int64_t>> packs;
  std::vector<int64_t> room;
  size_t first_open = 0;  // packs before it have no room for even the shortest sample
  const int64_t shortest = inputs(rows, draws[order.back()].sample);
  for (const int64_t i : order) {
    const int64_t length = inputs(rows, draws[i].sample);
    while (first_open < packs.size() && room[first_open] < shortest) ++first_open;
    size_t pack = first_open;
    while (pack < packs.size() && room[pack] < length) ++pack;
    if (pack == packs.size()) {
      packs.emplace_back();
      room.push_back(budget);
    }
    packs[pack].push_back(i);
    room[pack] -= length;
  }
  return packs;
}

class Weigher {
 public:
  Weigher(const EncodedRows& rows, std::span<const Draw> draws, const PackOptions& options, StepBatches& step)
      : options_(options), step_(step) {
    step.tasks.resize(rows.task_count());
    for (const Draw& draw : draws) {
      const int64_t supervised = rows.supervised(draw.sample);
      TaskShare& share = step.tasks[rows.task(draw.sample)];
      ++share.samples;
      share.supervised_tokens += supervised;
      step.supervised_tokens += supervised;
      tokens_ += weight(rows.task(draw.sample)) * static_cast<double>(supervised);
      if (supervised > 0) samples_ += weight(rows.task(draw.sample));
    }
    for (size_t task = 0; task < step.tasks.size(); ++task) {
      if (step.tasks[task].supervised_tokens > 0) tasks_ += weight(static_cast<int64_t>(task));
    }
  }

  double token_weight(int64_t task, int64_t supervised) const {
    switch (options_.normalisation) {
      case config::LossNormalisation::kToken:
        return weight(task) / tokens_;
      case config::LossNormalisation::kSample:
        return weight(task) / samples_ / static_cast<double>(supervised);
      case config::LossNormalisation::kTask:
        return weight(task) / tasks_ / static_cast<double>(step_.tasks[task].supervised_tokens);
    }
    return 0;
  }

 private:
  double weight(int64_t task) const {
    return options_.task_weights.empty() ? 1.0 : options_.task_weights[static_cast<size_t>(task)];
  }

  const PackOptions& options_;
  const StepBatches& step_;
  double tokens_ = 0;   // sums of the tasks' weights over the step's supervised tokens,
  double samples_ = 0;  // its samples that have any,
  double tasks_ = 0;    // and its tasks that have any
};

void append(const EncodedRows& rows, const Draw& draw, double weight, PackedBatch& batch) {
  const std::span<const int32_t> ids = rows.ids(draw.sample);
  const int64_t begin = batch.tokens();
  const int64_t length = inputs(rows, draw.sample);
  const int64_t supervised = rows.supervised(draw.sample);
  const int64_t sample = batch.samples();
  for (int64_t i = 0; i < length; ++i) {
    batch.ids.push_back(ids[i]);
    batch.positions.push_back(i);
  }
  for (int64_t i = length - supervised; i < length; ++i) {
    batch.supervised_rows.push_back(begin + i);
    batch.targets.push_back(ids[i + 1]);
    batch.weights.push_back(static_cast<float>(weight));
    batch.supervised_samples.push_back(sample);
  }
  batch.cu_seqlens.push_back(begin + length);
  batch.tasks.push_back(rows.task(draw.sample));
  batch.sample_keys.push_back(draw.key);
}

}  // namespace

StepBatches pack(const EncodedRows& rows, std::span<const Draw> draws, const PackOptions& options) {
  if (options.tokens_per_batch < 1) {
    throw Error(ErrorKind::kConfig, {"train.tokens_per_batch", "a batch needs tokens",
                                     std::to_string(options.tokens_per_batch), "at least 1"});
  }
  StepBatches step;
  if (draws.empty()) throw Error(ErrorKind::kInternal, {"pack", "an optimizer step without samples"});
  const Weigher weigher(rows, draws, options, step);
  for (const std::vector<int64_t>& members : first_fit_decreasing(rows, draws, options.tokens_per_batch)) {
    PackedBatch& batch = step.packs.emplace_back();
    std::vector<int64_t>& samples = step.pack_samples.emplace_back();
    batch.cu_seqlens.push_back(0);
    for (const int64_t i : members) {
      const int64_t task = rows.task(draws[i].sample);
      const int64_t supervised = rows.supervised(draws[i].sample);
      const double weight = supervised == 0 ? 0 : weigher.token_weight(task, supervised);
      append(rows, draws[i], weight, batch);
      samples.push_back(draws[i].sample);
      step.tasks[task].weight += weight * static_cast<double>(supervised);
    }
    step.tokens += batch.tokens();
  }
  return step;
}

StepBatches pack_range(const EncodedRows& rows, int64_t begin, int64_t end, const PackOptions& options) {
  std::vector<Draw> draws;
  for (int64_t sample = begin; sample < end; ++sample) draws.push_back({sample, sample});
  return pack(rows, draws, options);
}

}  // namespace moelora::data
