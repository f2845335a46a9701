// Fewer rows than there are: which ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace moelora::data {

/// Indices of at most `most` (0: all) of `count` rows, ascending: the same choice whatever else changes, and no bias
/// where a file is sorted.
inline std::vector<int64_t> evenly_spaced(int64_t count, int64_t most) {
  const int64_t kept = most > 0 ? std::min(count, most) : count;
  std::vector<int64_t> indices;
  indices.reserve(static_cast<size_t>(kept));
  for (int64_t i = 0; i < kept; ++i) indices.push_back(i * count / kept);
  return indices;
}

}  // namespace moelora::data
