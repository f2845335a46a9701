// What a data file's name says: which rows it holds, how they are written and how they are packed.
#pragma once

#include <filesystem>
#include <string>

namespace moelora::data {

enum class RowSyntax { kJson, kCsv, kParquet };
enum class Compression { kNone, kGzip, kZstd };

struct DataFileName {
  std::string stem;    // "train" of train.jsonl.gz
  std::string ending;  // ".jsonl.gz"; empty for a name that says nothing
  RowSyntax syntax = RowSyntax::kJson;
  Compression compression = Compression::kNone;

  /// Whether a file of that name found in a directory is taken for data: .jsonl, .json, .csv, .parquet, and the first
  /// three with .gz or .zst behind.
  bool is_data() const { return !ending.empty(); }
};

DataFileName parse_data_file_name(const std::filesystem::path& path);

}  // namespace moelora::data
