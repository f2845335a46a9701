// The checked reading of a safetensors header: everything that can be wrong with one is found here, before any tensor
// is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/safetensors.h"

namespace moelora::io {

struct HeaderTensor {
  TensorInfo info;
  int64_t begin = 0;  // of its bytes, from the start of the data
  int64_t end = 0;
};

struct SafetensorsHeader {
  int64_t data_begin = 0;             // from the start of the file
  std::vector<HeaderTensor> tensors;  // in the order of their bytes, which they cover without gap or overlap
  StringMap metadata;
};

/// Bounds: the header's length is the reference library's; the counts are far above any real model.
inline constexpr int64_t kMaxHeaderBytes = 100'000'000;
inline constexpr int64_t kMaxTensors = 250'000;
inline constexpr int64_t kMaxRank = 64;

/// Throws Error(kModel) naming `name`, the tensor and the reason. Stricter than the reference library where that takes
/// what no writer writes: duplicate names, unknown fields, a tensor given as an array, dimensions whose product without
/// the zeros overflows.
SafetensorsHeader read_safetensors_header(std::span<const std::byte> file, const std::string& name);

}  // namespace moelora::io
