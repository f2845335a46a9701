#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/checked_file.h"
#include "core/durable.h"

namespace moelora {

AppendLog::AppendLog(std::filesystem::path path, FileSystem& file_system, mode_t mode) : path_(std::move(path)) {
  file_ = std::make_unique<CheckedFile>(file_system, path_, O_RDWR | O_CREAT | O_APPEND, mode);
  std::vector<std::byte> buffer(1 << 16);
  int64_t total = 0;
  while (const size_t count = file_->read(buffer)) {
    const auto end = buffer.begin() + static_cast<std::ptrdiff_t>(count);
    const auto last = std::find(std::make_reverse_iterator(end), buffer.rend(), std::byte{'\n'});
    if (last != buffer.rend()) size_ = total + (last.base() - buffer.begin());
    total += static_cast<int64_t>(count);
  }
  if (size_ < total) file_->truncate(size_);
}

AppendLog::~AppendLog() = default;

void AppendLog::append(std::string_view line) {
  std::string text(line);
  text += '\n';
  try {
    file_->write(std::as_bytes(std::span(text)));
  } catch (const Error&) {
    try {
      file_->truncate(size_);
    } catch (const Error&) {
      // The next opening drops the torn line; the write's error is the one to report.
    }
    throw;
  }
  size_ += static_cast<int64_t>(text.size());
}

void AppendLog::sync() {
  file_->sync();
}

void AppendLog::rewind_to(int64_t size) {
  if (size > size_) {
    throw Error(ErrorKind::kIo, {.where = path_.string(),
                                 .problem = "the file is shorter than when the checkpoint was written",
                                 .found = std::to_string(size_) + " bytes",
                                 .expected = "at least " + std::to_string(size)});
  }
  file_->truncate(size);
  size_ = size;
}

}  // namespace moelora
