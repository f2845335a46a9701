// Files and directories that are either wholly there or not there, whatever happens meanwhile (docs/architecture.md,
// "Durability").
//
// A durable directory is written beside its target under a name that no reader looks at, every file checked and
// fsynced, then manifest.json (the commit record: size and XXH3-128 of every file), then one rename, then an fsync of
// the parent. Nothing is overwritten and nothing is deleted first; after a failure the target is absent and what stood
// there before is untouched. All failures of the disk throw Error (kIo).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file_system.h"
#include "core/hash.h"

namespace moelora {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr int64_t kManifestFormatVersion = 1;

struct FileRecord {
  std::string name;  // relative to the directory, '/' between parts
  int64_t size = 0;
  std::string xxh3_128;
};

/// What manifest.json says.
struct Manifest {
  std::vector<FileRecord> files;
  nlohmann::ordered_json fields;  // the writer's own: step, hashes of the base, …
};

class CheckedFile;
class DirectoryWriter;

/// One file of a DirectoryWriter (which must outlive it), written in parts. It counts only once finish() has returned.
class DurableFile {
 public:
  ~DurableFile();
  DurableFile(DurableFile&&) noexcept;
  DurableFile& operator=(DurableFile&&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Flushes to the disk, closes, and enters size and checksum in the directory's manifest.
  void finish();

 private:
  friend class DirectoryWriter;
  DurableFile(DirectoryWriter* writer, std::string name, std::unique_ptr<CheckedFile> file);

  DirectoryWriter* writer_;
  std::string name_;
  std::unique_ptr<CheckedFile> file_;  // null once finished
  int64_t size_ = 0;
  Hasher hasher_;
};

/// Writes one directory and commits it. Destroyed without commit(): nothing is left.
class DirectoryWriter {
 public:
  /// `target` must not exist (Error, kIo); missing parents are made.
  explicit DirectoryWriter(const std::filesystem::path& target, FileSystem& file_system = FileSystem::posix());
  ~DirectoryWriter();
  DirectoryWriter(const DirectoryWriter&) = delete;
  DirectoryWriter& operator=(const DirectoryWriter&) = delete;

  /// `name` is relative, without ".." and not manifest.json; folders in it are made. Each name once.
  void add_file(std::string_view name, std::span<const std::byte> bytes, mode_t mode = 0644);
  void add_file(std::string_view name, std::string_view text, mode_t mode = 0644);
  /// The same in parts. One file at a time is usual, several are allowed; all must be finished before commit().
  DurableFile open_file(std::string_view name, mode_t mode = 0644);

  /// Makes the directory real. `fields` is a JSON object. After an Error here the writer is spent; the target is
  /// absent, or, where only the last fsync of the parent failed, whole.
  void commit(nlohmann::ordered_json fields = nlohmann::ordered_json::object());

 private:
  friend class DurableFile;
  void abort() noexcept;

  FileSystem& file_system_;
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  std::vector<std::filesystem::path> folders_;  // within temporary_, in the order made
  std::set<std::string> names_;                 // of files finished or open
  std::vector<FileRecord> files_;
  int64_t open_files_ = 0;
  bool live_ = false;  // temporary_ exists and is ours to remove
};

/// Checks manifest.json, then size and checksum of every file it names; files it doesn't name are ignored.
/// Throws Error (kModel) naming the first file that is missing, cut or damaged.
Manifest verify_directory(const std::filesystem::path& directory);

/// Reads and checks manifest.json alone (not the files it names).
Manifest read_manifest(const std::filesystem::path& directory);

/// Removes a durable directory so that no reader ever sees a half of it: renamed away first, then deleted.
void remove_directory(const std::filesystem::path& directory, FileSystem& file_system = FileSystem::posix());

/// Deletes what killed writers left in `parent` (names that is_partial_name accepts). Only under the RunLock of its
/// owner.
void remove_partial_directories(const std::filesystem::path& parent, FileSystem& file_system = FileSystem::posix());

/// Whether a name is one of a directory or file under construction, which readers must skip.
bool is_partial_name(std::string_view name);

/// Replaces or makes one file: old content or new, never a mixture. mode 0600 for predictions and other row text.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes, mode_t mode = 0644,
                           FileSystem& file_system = FileSystem::posix());
void write_file_atomically(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644,
                           FileSystem& file_system = FileSystem::posix());

/// A file of lines that only grows (metrics.jsonl). On opening, a last line without its newline (a kill in mid-write)
/// is dropped.
class AppendLog {
 public:
  /// Makes the file where it is missing.
  explicit AppendLog(std::filesystem::path path, FileSystem& file_system = FileSystem::posix(), mode_t mode = 0644);
  ~AppendLog();
  AppendLog(const AppendLog&) = delete;
  AppendLog& operator=(const AppendLog&) = delete;

  /// Appends `line` and a newline; `line` holds none. After a failed write the file ends with the last whole line.
  void append(std::string_view line);
  /// Forces what was appended to the disk; before a checkpoint that records size().
  void sync();
  int64_t size() const { return size_; }
  /// Cuts the file back to a size() recorded earlier: what a resumed run does. Error (kIo) where the file is shorter.
  void rewind_to(int64_t size);

 private:
  std::filesystem::path path_;
  std::unique_ptr<CheckedFile> file_;
  int64_t size_ = 0;
};

/// The exclusive right to write a run directory, held until destroyed or until the process ends, however it ends.
class RunLock {
 public:
  /// Makes the directory where it is missing. Error (kIo) naming the holder's process id where another process has it.
  explicit RunLock(const std::filesystem::path& directory, FileSystem& file_system = FileSystem::posix());
  /// Nothing where another process has it.
  static std::unique_ptr<RunLock> take_if_free(const std::filesystem::path& directory,
                                               FileSystem& file_system = FileSystem::posix());
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  explicit RunLock(std::unique_ptr<CheckedFile> locked);

  std::unique_ptr<CheckedFile> file_;
};

}  // namespace moelora
