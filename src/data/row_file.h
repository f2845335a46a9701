// One data file -> rows: JSON Lines, one JSON array or CSV, plain or compressed, read in bounded memory per record,
// hashed on the way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/dataset_info.h"
#include "data/formats.h"
#include "data/row.h"

namespace moelora::data {

struct RowFileOptions {
  std::optional<std::string> format;  // else detected from the first row's keys; all rows of a file have one format
  std::shared_ptr<const ColumnMap> columns;  // null: the rows' keys are the format's own
  std::string group_key;                     // empty: rows have no group
  Answers answers = Answers::kRequired;      // kOptional: rows are prompts, and texts without prompt are malformed
  /// So many malformed rows are counted and skipped; one more is an error. 0: the data set's budget is used up.
  /// Nothing: none is skipped.
  std::optional<int64_t> skip_bad;
  int64_t max_record_bytes = 64 << 20;
  int64_t max_depth = 64;
};

struct RowFile {
  std::string path;
  std::string format;
  std::string hash;  // XXH3-128 of the bytes, 32 hex digits
  std::string
      licence;  // distinct values of the rows' `license` or `licence`, joined by "; "; empty where there is none
  std::vector<Row> rows;
  std::vector<Error> bad;  // the skipped rows' errors, in order
};

/// A UTF-8 byte order mark, CRLF line ends, blank lines and a missing final newline are accepted. Bad UTF-8, NUL bytes,
/// UTF-16, records over max_record_bytes or max_depth, truncated JSON and rows that lack what their format needs are
/// malformed. Throws Error(kIo) where the file can't be read, Error(kData) naming file and line for a malformed row
/// beyond skip_bad, for a file without rows and for an unknown format. No message holds the row's text.
RowFile read_row_file(const std::filesystem::path& path, const RowFileOptions& options);

}  // namespace moelora::data
