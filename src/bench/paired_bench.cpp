#include "bench/paired_bench.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "bench/timed_steps.h"

namespace moelora::bench {
namespace {

/// One of the two with its adapters, which are in the model's decoder while it steps.
class Turns {
 public:
  Turns(adapters::Model& model, const Contender& contender)
      : model_(model),
        adapters_(std::make_unique<adapters::AdapterSet>(*model.decoder, contender.config.adapter, contender.tasks,
                                                         contender.config.train.seed)) {
    std::swap(model_.adapters, adapters_);
    steps_.emplace(model_, contender.rows, contender.config);
    leave();
  }

  TimedStep next() {
    std::swap(model_.adapters, adapters_);
    model_.adapters->put_back(*model_.decoder);
    TimedStep step = steps_->next();
    leave();
    return step;
  }

 private:
  void leave() {
    model_.adapters->set_aside(*model_.decoder);
    std::swap(model_.adapters, adapters_);
  }

  adapters::Model& model_;
  std::unique_ptr<adapters::AdapterSet> adapters_;
  std::optional<TimedSteps> steps_;
};

}  // namespace

PairedBench bench_pairs(adapters::Model& model, const Contender& first, const Contender& second, int64_t pairs,
                        const TrainBenchOptions& options) {
  if (model.adapters) model.adapters->detach(*model.decoder);
  model.adapters.reset();
  Turns one(model, first), other(model, second);
  for (int64_t i = 0; i < options.warmup; ++i) {
    one.next();
    other.next();
  }
  PairedBench bench;
  for (int64_t step = 0; step < pairs * options.steps;) {
    double seconds[2] = {}, cpu_seconds[2] = {};
    for (int64_t i = 0; i < options.steps; ++i, ++step) {
      for (const int64_t turn : {step % 2, 1 - step % 2}) {  // who is first alternates
        const TimedStep timed = (turn == 0 ? one : other).next();
        seconds[turn] += timed.seconds;
        cpu_seconds[turn] += timed.cpu_seconds;
        if (turn == 0) bench.tokens += timed.tokens;
      }
    }
    bench.ratios.push_back(seconds[0] / seconds[1]);
    bench.cpu_ratios.push_back(cpu_seconds[0] / cpu_seconds[1]);
    bench.first_seconds += seconds[0];
    bench.second_seconds += seconds[1];
  }
  return bench;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double upper_bound_of_median(std::vector<double> values) {
  const size_t n = values.size();
  std::vector<double> averages;  // of each two values, each with itself too (Walsh)
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i; j < n; ++j) averages.push_back((values[i] + values[j]) / 2);
  }
  std::ranges::sort(averages);
  // chance[s]: that the ranks 1 to n that fair coins choose sum to s.
  std::vector<double> chance(averages.size() + 1, 0);
  chance[0] = 1;
  for (size_t rank = 1; rank <= n; ++rank) {
    for (size_t sum = chance.size(); sum-- > 0;)
      chance[sum] = (chance[sum] + (sum >= rank ? chance[sum - rank] : 0)) / 2;
  }
  size_t beyond = 0;  // averages that may lie above the bound
  for (double sum = chance[0]; beyond < averages.size() && sum <= 0.05; sum += chance[beyond]) ++beyond;
  return beyond == 0 ? std::numeric_limits<double>::infinity() : averages[averages.size() - beyond];
}

nlohmann::ordered_json paired_bench_json(const PairedBench& bench) {
  const auto tokens = static_cast<double>(bench.tokens);
  return {{"pairs", bench.ratios.size()},
          {"tokens_per_s", tokens / bench.first_seconds},
          {"tokens_per_s_against", tokens / bench.second_seconds},
          {"slower", median(bench.ratios) - 1},
          {"slower_at_most", upper_bound_of_median(bench.ratios) - 1},
          {"slower_cpu", median(bench.cpu_ratios) - 1},
          {"slower_cpu_at_most", upper_bound_of_median(bench.cpu_ratios) - 1},
          {"ratios", bench.ratios}};
}

}  // namespace moelora::bench
