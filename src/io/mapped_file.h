// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace moelora::io {

class MappedFile {
 public:
  /// Throws Error(kModel) where the path is missing, unreadable or not a regular file. The mapping stays valid when the
  /// file is renamed or removed; a file that shrinks meanwhile kills the reader (SIGBUS), as every mapping does.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  /// Gives the pages that hold `part` of bytes() back to the system; reading it again brings them back from the file.
  void release(std::span<const std::byte> part) const;
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

}  // namespace moelora::io
