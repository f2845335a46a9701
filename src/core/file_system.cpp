#include "core/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace moelora {
namespace {

int result_of(int returned) {
  return returned < 0 ? -errno : returned;
}

class PosixFileSystem final : public FileSystem {
 public:
  int open(const std::filesystem::path& path, int flags, mode_t mode) override {
    return result_of(::open(path.c_str(), flags | O_CLOEXEC, mode));
  }
  ssize_t read(int descriptor, void* bytes, size_t size) override {
    const ssize_t count = ::read(descriptor, bytes, size);
    return count < 0 ? -errno : count;
  }
  ssize_t write(int descriptor, const void* bytes, size_t size) override {
    const ssize_t count = ::write(descriptor, bytes, size);
    return count < 0 ? -errno : count;
  }
  int truncate(int descriptor, int64_t size) override { return result_of(::ftruncate(descriptor, size)); }
  int fsync(int descriptor) override { return result_of(::fsync(descriptor)); }
  int close(int descriptor) override { return result_of(::close(descriptor)); }
  int make_directory(const std::filesystem::path& path, mode_t mode) override {
    return result_of(::mkdir(path.c_str(), mode));
  }
  int rename_over(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return result_of(::rename(from.c_str(), to.c_str()));
  }
  int rename_new(const std::filesystem::path& from, const std::filesystem::path& to) override {
    const int result = result_of(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE));
    if (result != -EINVAL && result != -ENOSYS) return result;
    // Some network file systems lack the flag; there the run's lock is what keeps a second writer out.
    struct stat status;
    if (::lstat(to.c_str(), &status) == 0) return -EEXIST;
    return rename_over(from, to);
  }
  int remove(const std::filesystem::path& path) override { return result_of(::remove(path.c_str())); }
  int list(const std::filesystem::path& path, std::vector<std::string>* names) override {
    names->clear();
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) return -errno;
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names->emplace_back(name);
    }
    const int error_number = errno;
    ::closedir(directory);
    std::sort(names->begin(), names->end());
    return -error_number;
  }
  int lock(int descriptor) override { return result_of(::flock(descriptor, LOCK_EX | LOCK_NB)); }
};

}  // namespace

FileSystem& FileSystem::posix() {
  static PosixFileSystem file_system;
  return file_system;
}

Error io_error(const std::filesystem::path& path, std::string_view action, int error_number) {
  std::string hint;
  if (error_number == ENOSPC || error_number == EDQUOT) {
    hint = "free some space there or set `output` to another disk";
  } else if (error_number == EACCES || error_number == EPERM || error_number == EROFS) {
    hint = "check the permissions of the file and of its directory";
  }
  return Error(ErrorKind::kIo,
               {.where = path.string(),
                .problem = "can't " + std::string(action) + ": " + std::generic_category().message(error_number),
                .hint = hint});
}

std::filesystem::file_status status_of(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::none) throw io_error(path, "look at", error.value());
  return status;
}

std::filesystem::path without_slash(const std::filesystem::path& path) {
  const std::filesystem::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

}  // namespace moelora
