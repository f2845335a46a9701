#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "core/checked_file.h"
#include "core/durable.h"
#include "core/manifest.h"

namespace moelora {
namespace {

[[noreturn]] void misuse(const std::string& what) {
  throw std::logic_error("DirectoryWriter: " + what);
}

Error exists_error(const std::filesystem::path& target) {
  return Error(ErrorKind::kIo, {.where = target.string(),
                                .problem = "already exists, and nothing is overwritten",
                                .hint = "remove it or choose another name"});
}

}  // namespace

DirectoryWriter::DirectoryWriter(const std::filesystem::path& target, FileSystem& file_system)
    : file_system_(file_system), target_(without_slash(target)) {
  if (std::filesystem::exists(std::filesystem::symlink_status(target_))) throw exists_error(target_);
  make_directories(file_system_, target_.parent_path());
  temporary_ = partial_sibling(target_);
  int result = file_system_.make_directory(temporary_, 0777);
  while (result == -EEXIST) {  // a killed process of the same id left one
    temporary_ = partial_sibling(target_);
    result = file_system_.make_directory(temporary_, 0777);
  }
  if (result < 0) throw io_error(target_, "make the directory", -result);
  live_ = true;
}

DirectoryWriter::~DirectoryWriter() {
  abort();
}

void DirectoryWriter::abort() noexcept {
  if (!std::exchange(live_, false)) return;
  try {
    // Best effort: what can't be removed now has a name that no reader accepts, and the next run removes it.
    file_system_.remove(temporary_ / kManifestName);
    remove_tree(file_system_, temporary_);
  } catch (const std::exception&) {
  }
}

void DirectoryWriter::add_file(std::string_view name, std::span<const std::byte> bytes, mode_t mode) {
  DurableFile file = open_file(name, mode);
  file.write(bytes);
  file.finish();
}

void DirectoryWriter::add_file(std::string_view name, std::string_view text, mode_t mode) {
  add_file(name, std::as_bytes(std::span(text)), mode);
}

DurableFile DirectoryWriter::open_file(std::string_view name, mode_t mode) {
  if (!live_) misuse("open_file after commit or a failure");
  if (!is_safe_file_name(name)) misuse("unusable file name \"" + std::string(name) + "\"");
  if (!names_.insert(std::string(name)).second) misuse("two files named \"" + std::string(name) + "\"");
  std::vector<std::filesystem::path> missing;
  for (auto folder = std::filesystem::path(name).parent_path(); !folder.empty(); folder = folder.parent_path()) {
    missing.push_back(temporary_ / folder);
  }
  std::reverse(missing.begin(), missing.end());
  try {
    for (const std::filesystem::path& folder : missing) {
      if (std::find(folders_.begin(), folders_.end(), folder) != folders_.end()) continue;
      if (const int result = file_system_.make_directory(folder, 0777); result < 0) {
        throw io_error(folder, "make the directory", -result);
      }
      folders_.push_back(folder);
    }
    auto file = std::make_unique<CheckedFile>(file_system_, temporary_ / name, O_WRONLY | O_CREAT | O_EXCL, mode);
    ++open_files_;
    return DurableFile(this, std::string(name), std::move(file));
  } catch (const Error&) {
    abort();
    throw;
  }
}

void DirectoryWriter::commit(nlohmann::ordered_json fields) {
  if (!live_) misuse("commit twice or after a failure");
  if (open_files_ != 0) misuse("commit with an unfinished file");
  if (!fields.is_object()) misuse("fields are not a JSON object");
  try {
    const std::string text = manifest_text({.files = std::move(files_), .fields = std::move(fields)});
    CheckedFile manifest(file_system_, temporary_ / kManifestName, O_WRONLY | O_CREAT | O_EXCL, 0644);
    manifest.write(std::as_bytes(std::span(text)));
    manifest.sync();
    manifest.close();
    std::for_each(folders_.rbegin(), folders_.rend(),
                  [this](const std::filesystem::path& folder) { sync_directory(file_system_, folder); });
    sync_directory(file_system_, temporary_);
    const int result = file_system_.rename_new(temporary_, target_);
    if (result == -EEXIST || result == -ENOTEMPTY) throw exists_error(target_);
    if (result < 0) throw io_error(target_, "make the directory", -result);
  } catch (...) {
    abort();
    throw;
  }
  live_ = false;  // it is the target now
  sync_directory(file_system_, target_.parent_path());
}

DurableFile::DurableFile(DirectoryWriter* writer, std::string name, std::unique_ptr<CheckedFile> file)
    : writer_(writer), name_(std::move(name)), file_(std::move(file)) {}

DurableFile::DurableFile(DurableFile&&) noexcept = default;
DurableFile::~DurableFile() = default;

void DurableFile::write(std::span<const std::byte> bytes) {
  if (!file_) misuse("write to a finished file");
  try {
    file_->write(bytes);
  } catch (const Error&) {
    writer_->abort();
    throw;
  }
  hasher_.update(bytes);
  size_ += static_cast<int64_t>(bytes.size());
}

void DurableFile::finish() {
  if (!file_) misuse("finish twice");
  try {
    file_->sync();
    file_->close();
  } catch (const Error&) {
    writer_->abort();
    throw;
  }
  file_.reset();
  writer_->files_.push_back({name_, size_, hasher_.hex()});
  --writer_->open_files_;
}

}  // namespace moelora
