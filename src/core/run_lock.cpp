#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/checked_file.h"
#include "core/durable.h"

namespace moelora {
namespace {

/// The lock's file, which stays for good: removing it would let two processes each lock a file of this name.
std::unique_ptr<CheckedFile> open_lock(const std::filesystem::path& directory, FileSystem& file_system) {
  make_directories(file_system, directory);
  return std::make_unique<CheckedFile>(file_system, directory / ".lock", O_RDWR | O_CREAT, 0644);
}

std::unique_ptr<CheckedFile> take(const std::filesystem::path& directory, FileSystem& file_system) {
  std::unique_ptr<CheckedFile> file = open_lock(directory, file_system);
  if (file->try_lock()) return file;
  std::array<char, 32> text{};
  const size_t count = file->read(std::as_writable_bytes(std::span(text)));
  std::string holder(text.data(), count);
  holder.resize(std::min(holder.size(), holder.find_first_not_of("0123456789")));
  throw Error(ErrorKind::kIo, {.where = directory.string(),
                               .problem = "another process" + (holder.empty() ? "" : " (process id " + holder + ")") +
                                          " is writing this run directory",
                               .hint = "wait for it, stop it, or set another `output`"});
}

}  // namespace

RunLock::RunLock(std::unique_ptr<CheckedFile> locked) : file_(std::move(locked)) {
  const std::string pid = std::to_string(::getpid()) + "\n";
  file_->truncate(0);
  file_->write(std::as_bytes(std::span(pid)));
}

RunLock::RunLock(const std::filesystem::path& directory, FileSystem& file_system)
    : RunLock(take(directory, file_system)) {}

std::unique_ptr<RunLock> RunLock::take_if_free(const std::filesystem::path& directory, FileSystem& file_system) {
  std::unique_ptr<CheckedFile> file = open_lock(directory, file_system);
  if (!file->try_lock()) return nullptr;
  return std::unique_ptr<RunLock>(new RunLock(std::move(file)));
}

RunLock::~RunLock() = default;

}  // namespace moelora
