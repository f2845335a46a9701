// GGUF files (llama.cpp's format, version 3), as far as an adapter needs them: float32 tensors and keys whose values
// are strings or float32 numbers. Layout, little-endian: "GGUF", version, counts of tensors and keys, the keys, each
// tensor's name, sizes (fastest first), type and offset, then the data, every tensor at a multiple of 32 bytes
// (ggml's docs/gguf.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace moelora::io {

using GgufValue = std::variant<std::string, float>;

struct GgufTensor {
  std::string name;
  std::vector<int64_t> ne;          // sizes, fastest first: a row-major [r, in] matrix is {in, r}
  std::span<const std::byte> data;  // float32; the caller's when written, the file's when read
};

struct GgufFile {
  std::map<std::string, GgufValue> keys;
  std::vector<GgufTensor> tensors;
};

/// Streams a whole file into `sink`. Throws Error(kInternal) where a tensor's data don't fit its sizes.
void write_gguf(const GgufFile& file, const std::function<void(std::span<const std::byte>)>& sink);

/// Reads what write_gguf writes; `name` is what errors call it, `bytes` must outlive the result. Throws Error(kModel)
/// naming file, key or tensor and reason for everything else: cut, mis-sized, overlapping, of other types, with
/// repeated names or counts beyond what the file can hold.
GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& name);

}  // namespace moelora::io
