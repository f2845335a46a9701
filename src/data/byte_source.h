// The bytes of a data file as they are to be read, decompressed on the way where its name ends with .gz or .zst, in
// bounded memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace moelora::data {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// Fills `bytes` from the front and says how many were written; 0 at the end. Throws Error(kIo) where the file can't
  /// be read, Error(kData) naming it where its compressed data are cut short, damaged or not of the kind its name says.
  virtual size_t read(std::span<char> bytes) = 0;

  /// XXH3-128 of the file itself, as it lies on the disk; after the end.
  virtual std::string hash() const = 0;
};

/// Throws Error(kIo) where the file can't be opened.
std::unique_ptr<ByteSource> open_bytes(const std::filesystem::path& path);

}  // namespace moelora::data
