// A file's JSON records one after another, as text: lines of JSON Lines, or elements of one JSON array. Memory is
// bounded by one record.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/hash.h"

namespace moelora::data {

enum class RecordState { kRecord, kTooLong, kEnd };

class RecordReader {
 public:
  /// Throws Error(kIo) where the file can't be opened or read.
  RecordReader(const std::filesystem::path& path, int64_t max_record_bytes);

  /// Moves to the next record. kTooLong: the record was passed over, `line()` says where it began. Throws Error(kData),
  /// naming file and line, where an array's own structure is broken: there is no way to find the next record then.
  RecordState next();

  /// The record, without line end; followed in memory by at least simdjson's padding. Valid until next().
  std::string_view text() const { return {record_.data(), size_}; }
  int64_t line() const { return line_; }
  bool is_array() const { return array_; }
  /// XXH3-128 of the whole file; after kEnd.
  std::string hash() const { return hasher_.hex(); }

 private:
  static constexpr int kEof = -1;

  int peek();
  int get();
  void fill();
  void skip_space();
  bool append(std::string_view bytes);
  bool append_byte();
  RecordState finish(bool fits);
  RecordState next_line();
  RecordState next_element();
  [[noreturn]] void broken_array(const std::string& problem, int64_t line) const;

  std::filesystem::path path_;
  int64_t max_record_bytes_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  Hasher hasher_;
  std::string buffer_;
  size_t position_ = 0;
  size_t filled_ = 0;
  std::string record_;
  size_t size_ = 0;
  int64_t current_line_ = 1;
  int64_t line_ = 0;
  int64_t elements_ = 0;
  bool started_ = false;
  bool array_ = false;
  bool ended_ = false;
};

}  // namespace moelora::data
