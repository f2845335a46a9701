#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace moelora::io {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, std::string problem, std::string expected = "") {
  throw Error(ErrorKind::kModel,
              {.where = path.string(), .problem = std::move(problem), .expected = std::move(expected)});
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // Not blocking: a FIFO in a hostile directory would hang the open.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) refuse(path, std::string("can't open the file (") + std::strerror(errno) + ")");
  struct stat status {};
  const int failed = ::fstat(descriptor, &status);
  if (failed != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    refuse(path, "not a regular file", "a file");
  }
  const auto size = static_cast<size_t>(status.st_size);
  void* address = size == 0 ? nullptr : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int error_number = errno;
  ::close(descriptor);
  if (address == MAP_FAILED) {
    throw Error(ErrorKind::kIo,
                {.where = path.string(),
                 .problem = std::string("can't map the file into memory (") + std::strerror(error_number) + ")"});
  }
  return std::shared_ptr<const MappedFile>(new MappedFile({static_cast<const std::byte*>(address), size}));
}

void MappedFile::release(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = static_cast<size_t>(part.data() - bytes_.data()) / page * page;
  const auto end = static_cast<size_t>(part.data() - bytes_.data()) + part.size();
  ::madvise(const_cast<std::byte*>(bytes_.data()) + begin, end - begin,
            MADV_DONTNEED);  // a hint: failing harms nothing
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace moelora::io
