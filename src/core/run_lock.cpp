#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/checked_file.h"
#include "core/durable.h"

namespace moelora {

RunLock::RunLock(const std::filesystem::path& directory, FileSystem& file_system) {
  make_directories(file_system, directory);
  // The file stays: removing it would let two processes each lock a file of this name.
  file_ = std::make_unique<CheckedFile>(file_system, directory / ".lock", O_RDWR | O_CREAT, 0644);
  if (!file_->try_lock()) {
    std::array<char, 32> text{};
    const size_t count = file_->read(std::as_writable_bytes(std::span(text)));
    std::string holder(text.data(), count);
    holder.resize(std::min(holder.size(), holder.find_first_not_of("0123456789")));
    throw Error(ErrorKind::kIo, {.where = directory.string(),
                                 .problem = "another process" + (holder.empty() ? "" : " (process id " + holder + ")") +
                                            " is writing this run directory",
                                 .hint = "wait for it, stop it, or set another `output`"});
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  file_->truncate(0);
  file_->write(std::as_bytes(std::span(pid)));
}

RunLock::~RunLock() = default;

}  // namespace moelora
