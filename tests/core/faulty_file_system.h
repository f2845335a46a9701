// A file system that counts its calls and makes chosen ones fail.
#pragma once

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "core/file_system.h"

namespace moelora::test {

/// Passes everything to another file system; a subclass decides in `fault` which calls fail instead.
class ForwardingFileSystem : public FileSystem {
 public:
  explicit ForwardingFileSystem(FileSystem& next = FileSystem::posix()) : next_(next) {}

  int open(const std::filesystem::path& path, int flags, mode_t mode) override {
    if (const int error = fault("open")) return error;
    return next_.open(path, flags, mode);
  }
  ssize_t read(int descriptor, void* bytes, size_t size) override {
    if (const int error = fault("read")) return error;
    return next_.read(descriptor, bytes, size);
  }
  ssize_t write(int descriptor, const void* bytes, size_t size) override {
    if (const int error = fault("write")) return error;
    return next_.write(descriptor, bytes, size);
  }
  int truncate(int descriptor, int64_t size) override {
    if (const int error = fault("truncate")) return error;
    return next_.truncate(descriptor, size);
  }
  int fsync(int descriptor) override {
    // Not passed on: no test cuts the power for real, and thousands of flushes take minutes.
    (void)descriptor;
    return fault("fsync");
  }
  int close(int descriptor) override {
    const int result = next_.close(descriptor);  // the descriptor is gone even where close reports an error
    if (const int error = fault("close")) return error;
    return result;
  }
  int make_directory(const std::filesystem::path& path, mode_t mode) override {
    if (const int error = fault("make_directory")) return error;
    return next_.make_directory(path, mode);
  }
  int rename_over(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (const int error = fault("rename_over")) return error;
    return next_.rename_over(from, to);
  }
  int rename_new(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (const int error = fault("rename_new")) return error;
    return next_.rename_new(from, to);
  }
  int remove(const std::filesystem::path& path) override {
    if (const int error = fault("remove")) return error;
    return next_.remove(path);
  }
  int list(const std::filesystem::path& path, std::vector<std::string>* names) override {
    if (const int error = fault("list")) return error;
    return next_.list(path, names);
  }
  int lock(int descriptor) override {
    if (const int error = fault("lock")) return error;
    return next_.lock(descriptor);
  }

 protected:
  /// 0, or the negative errno with which this call fails without being passed on.
  virtual int fault(const std::string& call) = 0;

  FileSystem& next_;
};

/// Fails the call number `fail_at` (from 0), and all after it where `for_good`.
class FaultyFileSystem : public ForwardingFileSystem {
 public:
  struct Options {
    int64_t fail_at = -1;
    int error_number = EIO;
    bool for_good = false;
    size_t most_written = SIZE_MAX;  // bytes that one write takes
  };
  explicit FaultyFileSystem(Options options) : options_(options) {}

  ssize_t write(int descriptor, const void* bytes, size_t size) override {
    return ForwardingFileSystem::write(descriptor, bytes, std::min(size, options_.most_written));
  }

  const std::vector<std::string>& calls() const { return calls_; }

 protected:
  int fault(const std::string& call) override {
    const auto index = static_cast<int64_t>(calls_.size());
    calls_.push_back(call);
    const bool fails =
        index == options_.fail_at || (options_.for_good && options_.fail_at >= 0 && index > options_.fail_at);
    return fails ? -options_.error_number : 0;
  }

 private:
  Options options_;
  std::vector<std::string> calls_;
};

}  // namespace moelora::test
