// A file's records one after another, as JSON text: lines of JSON Lines, elements of one JSON array, or rows of CSV,
// each as an object of its columns. Memory is bounded by one record.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_source.h"
#include "data/formats.h"

namespace moelora::data {

enum class RecordState { kRecord, kTooLong, kMalformed, kEnd };

class RecordReader {
 public:
  /// CSV where the file's name says so; decompressed where it says so. Throws Error(kIo) where the file can't be opened
  /// or read, Error(kData) where it is Parquet.
  RecordReader(const std::filesystem::path& path, int64_t max_record_bytes);

  /// Moves to the next record. kTooLong, kMalformed (then problem() says why): the record was passed over, `line()`
  /// says where it began. Throws Error(kData), naming file and line, where the structure of an array or of CSV's quotes
  /// is broken, or compressed data are: there is no way to find the next record then.
  RecordState next();

  /// The record, without line end; followed in memory by at least simdjson's padding. Valid until next().
  std::string_view text() const { return {record_.data(), size_}; }
  int64_t line() const { return line_; }
  bool is_array() const { return array_; }
  bool is_csv() const { return csv_; }
  const RowProblem& problem() const { return problem_; }
  /// XXH3-128 of the whole file as it lies on the disk; after kEnd.
  std::string hash() const { return bytes_->hash(); }

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
  RecordState next_csv_row();
  void read_columns();
  template <typename Put>
  int read_field(const Put& put);
  static std::string_view escaped(const char& byte, std::span<char, 8> room);
  [[noreturn]] void broken_array(const std::string& problem, int64_t line) const;

  std::filesystem::path path_;
  int64_t max_record_bytes_;
  std::unique_ptr<ByteSource> bytes_;
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
  bool csv_ = false;
  std::vector<std::string> columns_;  // of CSV
  RowProblem problem_;
  bool ended_ = false;
};

}  // namespace moelora::data
