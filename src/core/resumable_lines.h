// A file of lines that takes long to write, by one process or by several one after another: until it is whole it has
// another name, and it is never half of anything under its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/file_system.h"

namespace moelora {

class AppendLog;
class CheckedFile;

class ResumableLines {
 public:
  /// Goes on with `<target>.<identity>.part` where it exists, less a last line without newline (a kill in mid-write),
  /// else begins it; readable by its owner alone. `identity` names everything that decides the lines, so that none of
  /// other settings or data come to stand among them; letters and digits. Throws Error (kIo) where the target exists,
  /// another process is writing it, or an unfinished one of another identity stands there.
  ResumableLines(std::filesystem::path target, const std::string& identity,
                 FileSystem& file_system = FileSystem::posix());
  ~ResumableLines();
  ResumableLines(const ResumableLines&) = delete;
  ResumableLines& operator=(const ResumableLines&) = delete;

  /// Lines written so far, by earlier processes too.
  int64_t lines() const { return lines_; }

  /// Appends `line`, which holds no newline, and one. After a failed write the file ends with the last whole line.
  void append(std::string_view line);

  /// Flushes to the disk and gives the file its name. Nothing may be appended afterwards.
  void finish();

 private:
  void refuse_others(const std::string& identity) const;

  FileSystem& file_system_;
  std::filesystem::path target_;
  std::filesystem::path part_;
  std::unique_ptr<CheckedFile> lock_;  // of the unfinished file, held until destroyed
  std::unique_ptr<AppendLog> log_;
  int64_t lines_ = 0;
};

}  // namespace moelora
