// The safetensors file format, without torch: a checked reader over a mapped file, and a writer of the same layout as
// the reference library's. Files are hostile: every malformed one is refused with Error(kModel) naming file, tensor and
// reason, and nothing is allocated by a number that a file claims. Format: 8 bytes little-endian header length, a JSON
// header {name: {dtype, shape, data_offsets}, "__metadata__": {string: string}}, then the tensors' bytes
// (https://huggingface.co/docs/safetensors, "Format").
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moelora::io {

class MappedFile;

/// In the order of the reference library, which sorts a file's tensors by it, last first.
enum class Dtype {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

/// The name in the header: "F32", "BF16", …
std::string_view dtype_name(Dtype dtype);
/// The dtype of that exact name; nothing for an unknown one and for those below one byte (F4, F6_…), which no model
/// here uses.
std::optional<Dtype> dtype_from_name(std::string_view name);
int64_t dtype_bytes(Dtype dtype);

/// One tensor of a file: row-major, little-endian, at no guaranteed alignment.
struct StoredTensor {
  Dtype dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

using StringMap = std::map<std::string, std::string>;

class SafetensorsFile {
 public:
  /// Maps the file and checks the whole header; reads no tensor. The file must not shrink while it is in use.
  static std::shared_ptr<const SafetensorsFile> open(const std::filesystem::path& path);

  /// The same over bytes in memory, which must outlive the result; `name` is what errors call it.
  static std::shared_ptr<const SafetensorsFile> parse(std::span<const std::byte> bytes, const std::string& name);

  /// In the order of their bytes.
  const std::vector<std::string>& names() const { return names_; }
  /// nullptr where there is none.
  const StoredTensor* find(const std::string& name) const;
  /// Throws Error(kModel) with the nearest name where there is none.
  const StoredTensor& at(const std::string& name) const;

  /// Drops a tensor's bytes from memory where the file is mapped; they come back when they are read. For walking
  /// through a model without holding it.
  void release(const std::string& name) const;

  const StringMap& metadata() const { return metadata_; }
  /// What errors call it: the path, or the name given to parse().
  const std::string& path() const { return path_; }
  /// The whole file.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  SafetensorsFile() = default;

  std::shared_ptr<const MappedFile> mapping_;
  std::string path_;
  std::span<const std::byte> bytes_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, StoredTensor> tensors_;
  StringMap metadata_;
};

/// What the header says of one tensor to be written.
struct TensorInfo {
  std::string name;
  Dtype dtype;
  std::vector<int64_t> shape;
};

/// How a file will look: `head`, then the tensors' bytes in `order` (indices into what was given), nothing between
/// them.
struct SafetensorsLayout {
  std::string head;  // length and header, padded with spaces so that data starts at a multiple of 8
  std::vector<size_t> order;
};

/// Tensors are sorted by descending dtype, then by name, so each is aligned to its element. The same input gives the
/// same bytes: the reference library's, for at most one metadata entry (it orders several at random). Throws
/// Error(kInternal) for duplicate names, and Error(kModel) for names that aren't UTF-8.
SafetensorsLayout lay_out_safetensors(std::span<const TensorInfo> tensors, const StringMap& metadata);

using ByteSink = std::function<void(std::span<const std::byte>)>;

/// Streams a whole file into `sink`. `bytes[i]` belongs to `tensors[i]`: row-major, exactly the size that dtype and
/// shape give (else Error(kInternal)).
void write_safetensors(std::span<const TensorInfo> tensors, std::span<const std::span<const std::byte>> bytes,
                       const StringMap& metadata, const ByteSink& sink);

}  // namespace moelora::io
