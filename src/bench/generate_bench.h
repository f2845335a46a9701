// What `moelora bench generate` measures: reading prompts and writing answers, with adapters of mixed tasks and
// without, beside what the machine's memory allows.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "adapters/model.h"

namespace moelora::bench {

struct GenerateBenchOptions {
  int64_t batch_size = 8;  // sequences decoded together, of as many tasks as there are
  int64_t prompt_tokens = 128;
  int64_t new_tokens = 64;
  int64_t pairs = 3;  // times that adapters and bare base are run, step by step in turns
};

struct GenerateRate {
  double prefill_tokens_per_s = 0;
  double decode_tokens_per_s = 0;  // of all sequences together
  // The same by the CPU time of all threads: with one thread what it would be on a core of its own.
  double prefill_tokens_per_cpu_s = 0;
  double decode_tokens_per_cpu_s = 0;
};

struct GenerateBench {
  GenerateRate adapted, base;   // medians of the pairs
  double slower_than_base = 0;  // median over the pairs of base / adapted decode rate, less 1
  double slower_at_most = 0;    // of that median, 95 %; infinite with fewer than five pairs
  double read_gb_per_s = 0;     // of memory, by a sum over a large array on all threads
  double weight_gb = 0;         // what a step reads: every linear and the head, once
  /// Decode steps a second that reading the weights allows.
  double limit_steps_per_s() const { return read_gb_per_s / weight_gb; }
};

/// `adapted` and `base` have the same weights; base has no adapters.
GenerateBench bench_generate(const adapters::Model& adapted, const adapters::Model& base,
                             const GenerateBenchOptions& options);

nlohmann::ordered_json generate_bench_json(const GenerateBench& bench, const GenerateBenchOptions& options);

}  // namespace moelora::bench
