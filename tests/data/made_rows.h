// Encoded rows without a tokenizer: lengths and tasks as a test wants them, every token id telling sample and place.
#pragma once

#include <cstdint>
#include <vector>

#include "data/encode.h"

namespace moelora::data {

struct MadeSample {
  int64_t task = 0;
  int64_t prompt = 0;
  int64_t answer = 0;
};

inline EncodedRows made_encoded(const std::vector<MadeSample>& samples, int64_t tasks) {
  EncodedRows rows(tasks);
  for (size_t i = 0; i < samples.size(); ++i) {
    std::vector<int32_t> ids;
    for (int64_t j = 0; j < samples[i].prompt + samples[i].answer; ++j)
      ids.push_back(static_cast<int32_t>(i * 1000 + j));
    const std::span<const int32_t> all(ids);
    rows.append(samples[i].task, static_cast<int64_t>(i), all.first(samples[i].prompt), all.subspan(samples[i].prompt));
  }
  return rows;
}

/// Tasks of the given sizes, one after another; prompts and answers of varied lengths.
inline EncodedRows made_tasks(const std::vector<int64_t>& sizes) {
  std::vector<MadeSample> samples;
  for (size_t task = 0; task < sizes.size(); ++task) {
    for (int64_t i = 0; i < sizes[task]; ++i)
      samples.push_back({static_cast<int64_t>(task), 3 + (i * 37) % 50, 1 + (i * 11) % 9});
  }
  return made_encoded(samples, static_cast<int64_t>(sizes.size()));
}

}  // namespace moelora::data
