// The operating system's file calls behind an interface (as LevelDB's Env), so that tests can make every one of them
// fail. Calls are thin: they return what POSIX returns, with -errno for a failure. What must be durable goes through
// core/durable.h.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace moelora {

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// A descriptor, or -errno. `flags` are those of open(2); close-on-exec is always added.
  virtual int open(const std::filesystem::path& path, int flags, mode_t mode) = 0;
  /// Bytes read or written (perhaps fewer than asked), or -errno.
  virtual ssize_t read(int descriptor, void* bytes, size_t size) = 0;
  virtual ssize_t write(int descriptor, const void* bytes, size_t size) = 0;
  /// The rest return 0 or -errno.
  virtual int truncate(int descriptor, int64_t size) = 0;
  virtual int fsync(int descriptor) = 0;
  virtual int close(int descriptor) = 0;
  virtual int make_directory(const std::filesystem::path& path, mode_t mode) = 0;
  /// Replaces `to` where it exists.
  virtual int rename_over(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  /// -EEXIST where `to` exists.
  virtual int rename_new(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  /// A file, a link or an empty directory.
  virtual int remove(const std::filesystem::path& path) = 0;
  /// Names in a directory, without "." and "..", in byte order.
  virtual int list(const std::filesystem::path& path, std::vector<std::string>* names) = 0;
  /// Takes an exclusive advisory lock (flock) without waiting: -EWOULDBLOCK where another process has it.
  virtual int lock(int descriptor) = 0;

  /// The real one.
  static FileSystem& posix();
};

/// Error (kIo) for a failed call: "runs/a/x: can't write (No space left on device); free space on the disk …".
/// `error_number` is errno's value, positive.
Error io_error(const std::filesystem::path& path, std::string_view action, int error_number);

/// What stands at `path`, links followed; file_type::not_found where nothing does. Throws Error (kIo) where that can't
/// be found out, as behind a missing permission or in a loop of links: it says nothing about the file.
std::filesystem::file_status status_of(const std::filesystem::path& path);

/// "a/b/" -> "a/b": so that filename() and parent_path() mean what a reader expects.
std::filesystem::path without_slash(const std::filesystem::path& path);

}  // namespace moelora
