// File calls that throw Error (kIo) instead of returning a code: what core/durable.h is made of. Internal to src/core.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "core/file_system.h"

namespace moelora {

/// An open descriptor; closed when destroyed, where errors of closing no longer matter.
class CheckedFile {
 public:
  CheckedFile(FileSystem& file_system, std::filesystem::path path, int flags, mode_t mode);
  ~CheckedFile();
  CheckedFile(CheckedFile&& other) noexcept;
  CheckedFile& operator=(CheckedFile&&) = delete;

  /// Writes all of it, however many calls that takes.
  void write(std::span<const std::byte> bytes);
  /// At most bytes.size(); 0 at the end of the file.
  size_t read(std::span<std::byte> bytes);
  void truncate(int64_t size);
  void sync();
  void close();
  /// False where another process holds the lock.
  bool try_lock();

 private:
  FileSystem& file_system_;
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Makes the directory and its missing parents; what was made is on the disk when it returns.
void make_directories(FileSystem& file_system, const std::filesystem::path& path);

/// Forces a directory's entries to the disk. An empty path is the working directory.
void sync_directory(FileSystem& file_system, const std::filesystem::path& path);

/// Deletes a file or a directory with all it holds, following no links; a negative errno for the first thing that can't
/// be deleted.
int remove_tree(FileSystem& file_system, const std::filesystem::path& path);

/// A sibling of `path` whose name is_partial_name accepts; differs on every call.
std::filesystem::path partial_sibling(const std::filesystem::path& path);

}  // namespace moelora
