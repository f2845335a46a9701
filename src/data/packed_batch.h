// One micro-batch without padding: its samples stand one after another in one row of tokens, up to a token budget.
#pragma once

#include <cstdint>
#include <vector>

namespace moelora::data {

/// T tokens of S samples, K supervised rows (rows whose next token belongs to an answer or is its end token).
struct PackedBatch {
  std::vector<int64_t> ids;                 // [T]
  std::vector<int64_t> positions;           // [T], from 0 within each sample
  std::vector<int64_t> cu_seqlens;          // [S+1], 0 first, T last
  std::vector<int64_t> tasks;               // [S], index of each sample's task
  std::vector<int64_t> sample_keys;         // [S], names the sample's draw (epoch and row) for counter-based dropout
  std::vector<int64_t> supervised_rows;     // [K], ascending
  std::vector<int64_t> targets;             // [K], the next token
  std::vector<float> weights;               // [K], sums to 1 over the whole optimizer step
  std::vector<int64_t> supervised_samples;  // [K], which sample (0..S-1) each supervised row belongs to

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t samples() const { return static_cast<int64_t>(tasks.size()); }
};

}  // namespace moelora::data
