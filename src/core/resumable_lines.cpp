#include "core/resumable_lines.h"

#include <fcntl.h>

#include <algorithm>
#include <span>
#include <vector>

#include "core/checked_file.h"
#include "core/durable.h"

namespace moelora {
namespace {

constexpr std::string_view kSuffix = ".part";

}  // namespace

ResumableLines::ResumableLines(std::filesystem::path target, const std::string& identity, FileSystem& file_system)
    : file_system_(file_system), target_(std::move(target)) {
  if (std::filesystem::exists(std::filesystem::symlink_status(target_))) {
    throw Error(ErrorKind::kIo, {.where = target_.string(),
                                 .problem = "exists already, and nothing is overwritten",
                                 .hint = "remove it or choose another name"});
  }
  refuse_others(identity);
  part_ = target_;
  part_ += "." + identity + std::string(kSuffix);
  lock_ = std::make_unique<CheckedFile>(file_system_, part_, O_RDWR | O_CREAT, 0600);
  if (!lock_->try_lock()) {
    throw Error(ErrorKind::kIo, {.where = target_.string(), .problem = "another process is writing this file"});
  }
  log_ = std::make_unique<AppendLog>(part_, file_system_);  // drops a torn last line, so only after the lock
  std::vector<std::byte> buffer(1 << 16);
  while (const size_t count = lock_->read(buffer)) {
    lines_ += std::ranges::count(std::span(buffer).first(count), std::byte{'\n'});
  }
}

ResumableLines::~ResumableLines() = default;

void ResumableLines::refuse_others(const std::string& identity) const {
  const std::string name = target_.filename().string() + ".";
  std::vector<std::string> names;
  const std::filesystem::path parent = target_.has_parent_path() ? target_.parent_path() : ".";
  if (const int result = file_system_.list(parent, &names); result < 0) throw io_error(parent, "list", -result);
  for (const std::string& other : names) {
    if (!other.starts_with(name) || !other.ends_with(kSuffix) || other == name + identity + std::string(kSuffix))
      continue;
    if (other.find('.', name.size()) != other.size() - kSuffix.size()) continue;  // of another target's name
    throw Error(ErrorKind::kIo, {.where = (parent / other).string(),
                                 .problem = "an unfinished file of other settings, other data or another model",
                                 .hint = "repeat the command that began it, or remove it"});
  }
}

void ResumableLines::append(std::string_view line) {
  log_->append(line);
  ++lines_;
}

void ResumableLines::finish() {
  log_->sync();
  if (const int result = file_system_.rename_new(part_, target_); result < 0)
    throw io_error(target_, "give the finished file its name", -result);
  sync_directory(file_system_, target_.parent_path());
}

}  // namespace moelora
