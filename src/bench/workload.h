// What a training benchmark trains on: samples of given lengths and tasks with random tokens, so that only sizes
// matter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/encode.h"

namespace moelora::bench {

struct Workload {
  std::vector<std::string> tasks;  // sorted
  std::shared_ptr<const data::EncodedRows> rows;
};

/// A JSON Lines file, one sample a line: {"task": NAME, "prompt": TOKENS, "answer": TOKENS}, as the peers' script reads
/// it. Token ids are drawn from [0, vocab_size). Throws Error (kData) naming file and line.
Workload read_workload(const std::filesystem::path& path, int64_t vocab_size, uint64_t seed);

/// `samples` samples of `tokens` tokens, one eighth of them answers, of eight tasks in turn.
Workload even_workload(int64_t samples, int64_t tokens, int64_t vocab_size, uint64_t seed);

/// The same samples, all of one task.
Workload as_one_task(const Workload& workload);

}  // namespace moelora::bench
