#include "core/checked_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "core/durable.h"

namespace moelora {
namespace {

constexpr std::string_view kPartialMark = ".partial-";

/// Repeats a call that a signal broke off.
template <typename Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result == -EINTR) result = call();
  return result;
}

template <typename Result>
Result checked(Result result, const std::filesystem::path& path, std::string_view action) {
  if (result < 0) throw io_error(path, action, static_cast<int>(-result));
  return result;
}

}  // namespace

CheckedFile::CheckedFile(FileSystem& file_system, std::filesystem::path path, int flags, mode_t mode)
    : file_system_(file_system), path_(std::move(path)) {
  descriptor_ = checked(uninterrupted([&] { return file_system_.open(path_, flags, mode); }), path_,
                        (flags & O_CREAT) != 0 ? "create" : "open");
}

CheckedFile::~CheckedFile() {
  if (descriptor_ >= 0) file_system_.close(descriptor_);
}

CheckedFile::CheckedFile(CheckedFile&& other) noexcept
    : file_system_(other.file_system_),
      path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

void CheckedFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = checked(
        uninterrupted([&] { return file_system_.write(descriptor_, bytes.data(), bytes.size()); }), path_, "write");
    if (count == 0) throw io_error(path_, "write", EIO);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

size_t CheckedFile::read(std::span<std::byte> bytes) {
  return static_cast<size_t>(checked(
      uninterrupted([&] { return file_system_.read(descriptor_, bytes.data(), bytes.size()); }), path_, "read"));
}

void CheckedFile::truncate(int64_t size) {
  checked(uninterrupted([&] { return file_system_.truncate(descriptor_, size); }), path_, "cut");
}

void CheckedFile::sync() {
  checked(uninterrupted([&] { return file_system_.fsync(descriptor_); }), path_, "flush to the disk");
}

void CheckedFile::close() {
  // The descriptor is gone whatever close() says (Linux), EINTR included: never again.
  const int result = file_system_.close(std::exchange(descriptor_, -1));
  if (result != -EINTR) checked(result, path_, "close");
}

bool CheckedFile::try_lock() {
  const int result = uninterrupted([&] { return file_system_.lock(descriptor_); });
  if (result == -EWOULDBLOCK) return false;
  checked(result, path_, "lock");
  return true;
}

void make_directories(FileSystem& file_system, const std::filesystem::path& path) {
  if (path.empty() || std::filesystem::is_directory(path)) return;
  make_directories(file_system, path.parent_path());
  const int result = file_system.make_directory(path, 0777);
  if (result == -EEXIST && std::filesystem::is_directory(path)) return;  // made by another process meanwhile
  checked(result, path, "make the directory");
  sync_directory(file_system, path.parent_path());
}

void sync_directory(FileSystem& file_system, const std::filesystem::path& path) {
  CheckedFile directory(file_system, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY, 0);
  directory.sync();
}

int remove_tree(FileSystem& file_system, const std::filesystem::path& path) {
  const int result = file_system.remove(path);
  if (result != -ENOTEMPTY && result != -EEXIST) return result;
  std::vector<std::string> names;
  if (const int listed = file_system.list(path, &names); listed < 0) return listed;
  for (const std::string& name : names) {
    if (const int removed = remove_tree(file_system, path / name); removed < 0) return removed;
  }
  return file_system.remove(path);
}

std::filesystem::path partial_sibling(const std::filesystem::path& path) {
  static std::atomic<uint64_t> counter{0};
  return path.parent_path() / ("." + path.filename().string() + std::string(kPartialMark) + std::to_string(::getpid()) +
                               "-" + std::to_string(counter++));
}

bool is_partial_name(std::string_view name) {
  return name.starts_with('.') && name.find(kPartialMark) != std::string_view::npos;
}

}  // namespace moelora
