#include "bench/generate_bench.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "bench/paired_bench.h"
#include "bench/stopwatch.h"
#include "core/random.h"
#include "generate/engine.h"

namespace moelora::bench {
namespace {

std::vector<generate::Request> requests(const adapters::Model& model, const GenerateBenchOptions& options) {
  const int64_t tasks = model.adapters ? static_cast<int64_t>(model.adapters->tasks().size()) : 1;
  std::vector<generate::Request> all(options.batch_size);
  for (int64_t i = 0; i < options.batch_size; ++i) {
    Random random(1, RandomStream::kData, static_cast<uint64_t>(i));
    all[i] = {.id = i, .task = i % tasks, .max_new_tokens = options.new_tokens};
    for (int64_t t = 0; t < options.prompt_tokens; ++t) {
      all[i].prompt.push_back(static_cast<int32_t>(random.below(model.decoder->config().vocab_size)));
    }
  }
  return all;
}

struct Seconds {
  double wall = 0, cpu = 0;
};

/// One of the two that take turns.
struct Writer {
  Writer(const adapters::Model& model, const GenerateBenchOptions& options)
      : engine(model,
               {.batch_size = options.batch_size, .tokens_per_step = options.batch_size * options.prompt_tokens}) {
    for (generate::Request& request : requests(model, options)) engine.submit(std::move(request));
  }

  /// Prompts are read in the first step, which also writes each sequence's first token; every later one writes one
  /// more.
  void step() {
    const Stopwatch watch;
    engine.step();
    Seconds& spent = steps++ == 0 ? read : wrote;
    spent.wall += watch.seconds();
    spent.cpu += watch.cpu_seconds();
  }

  GenerateRate rate(const GenerateBenchOptions& options) const {
    const double prompts = static_cast<double>(options.batch_size * options.prompt_tokens);
    const double answers = static_cast<double>(options.batch_size * (options.new_tokens - 1));
    return {.prefill_tokens_per_s = prompts / read.wall,
            .decode_tokens_per_s = answers / wrote.wall,
            .prefill_tokens_per_cpu_s = prompts / read.cpu,
            .decode_tokens_per_cpu_s = answers / wrote.cpu};
  }

  generate::Engine engine;
  int64_t steps = 0;
  Seconds read, wrote;
};

/// Step by step in turns, so that what else the machine does meets both; who is first alternates, from pair to pair
/// too.
std::pair<GenerateRate, GenerateRate> run_pair(const adapters::Model& adapted, const adapters::Model& base,
                                               const GenerateBenchOptions& options, int64_t pair) {
  Writer with(adapted, options), without(base, options);
  while (!with.engine.idle()) {
    const bool swapped = (with.steps + pair) % 2 == 1;
    (swapped ? without : with).step();
    (swapped ? with : without).step();
  }
  return {with.rate(options), without.rate(options)};
}

/// Of each rate by itself.
GenerateRate medians(const std::vector<GenerateRate>& runs) {
  GenerateRate rate;
  for (double GenerateRate::*const one :
       {&GenerateRate::prefill_tokens_per_s, &GenerateRate::decode_tokens_per_s,
        &GenerateRate::prefill_tokens_per_cpu_s, &GenerateRate::decode_tokens_per_cpu_s}) {
    std::vector<double> values;
    for (const GenerateRate& run : runs) values.push_back(run.*one);
    rate.*one = median(values);
  }
  return rate;
}

/// GB/s of the best of several sums over 1 GiB, in wide strides so that the sum isn't the limit.
double read_rate() {
  constexpr int64_t kWords = int64_t{1} << 27;
  const std::vector<uint64_t> memory(kWords, 1);
  std::atomic<uint64_t> sink{0};
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const Stopwatch watch;
    at::parallel_for(0, kWords / 64, 1, [&](int64_t begin, int64_t end) {
      uint64_t sums[8] = {};
      for (int64_t i = begin * 64; i < end * 64; i += 8) {
        for (int lane = 0; lane < 8; ++lane) sums[lane] += memory[i + lane];
      }
      for (const uint64_t sum : sums) sink += sum;
    });
    best = std::max(best, 8e-9 * static_cast<double>(kWords) / watch.seconds());
  }
  return best;
}

double weight_gb(nn::Decoder& decoder) {
  double bytes = static_cast<double>(decoder.head().nbytes());
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& projection) {
    for (const nn::Member& member : projection->members()) bytes += static_cast<double>(member.base->weight_bytes());
  });
  return 1e-9 * bytes;
}

}  // namespace

GenerateBench bench_generate(const adapters::Model& adapted, const adapters::Model& base,
                             const GenerateBenchOptions& options) {
  GenerateBench bench;
  bench.read_gb_per_s = read_rate();
  bench.weight_gb = weight_gb(*base.decoder);
  std::vector<GenerateRate> with, without;
  std::vector<double> slower;
  for (int64_t pair = 0; pair < options.pairs; ++pair) {
    const auto [adapted_rate, base_rate] = run_pair(adapted, base, options, pair);
    with.push_back(adapted_rate);
    without.push_back(base_rate);
    slower.push_back(without.back().decode_tokens_per_s / with.back().decode_tokens_per_s - 1);
  }
  bench.adapted = medians(with);
  bench.base = medians(without);
  bench.slower_than_base = median(slower);
  bench.slower_at_most = upper_bound_of_median(slower);
  return bench;
}

nlohmann::ordered_json generate_bench_json(const GenerateBench& bench, const GenerateBenchOptions& options) {
  const double steps_per_s = bench.adapted.decode_tokens_per_s / static_cast<double>(options.batch_size);
  return {{"batch_size", options.batch_size},
          {"prompt_tokens", options.prompt_tokens},
          {"new_tokens", options.new_tokens},
          {"prefill_tokens_per_s", bench.adapted.prefill_tokens_per_s},
          {"decode_tokens_per_s", bench.adapted.decode_tokens_per_s},
          {"base_prefill_tokens_per_s", bench.base.prefill_tokens_per_s},
          {"base_decode_tokens_per_s", bench.base.decode_tokens_per_s},
          {"prefill_tokens_per_cpu_s", bench.adapted.prefill_tokens_per_cpu_s},
          {"decode_tokens_per_cpu_s", bench.adapted.decode_tokens_per_cpu_s},
          {"base_prefill_tokens_per_cpu_s", bench.base.prefill_tokens_per_cpu_s},
          {"base_decode_tokens_per_cpu_s", bench.base.decode_tokens_per_cpu_s},
          {"slower_than_base", bench.slower_than_base},
          {"slower_at_most", bench.slower_at_most},
          {"memory_read_gb_per_s", bench.read_gb_per_s},
          {"weight_gb", bench.weight_gb},
          {"of_memory_limit", steps_per_s / bench.limit_steps_per_s()}};
}

}  // namespace moelora::bench
