#include "data/file_name.h"

namespace moelora::data {

DataFileName parse_data_file_name(const std::filesystem::path& path) {
  DataFileName name{.stem = path.filename().string(), .ending = ""};
  const auto take = [&](std::string_view ending) {
    if (!name.stem.ends_with(ending) || name.stem.size() == ending.size()) return false;
    name.stem.resize(name.stem.size() - ending.size());
    name.ending.insert(0, ending);
    return true;
  };
  if (take(".gz")) {
    name.compression = Compression::kGzip;
  } else if (take(".zst")) {
    name.compression = Compression::kZstd;
  }
  if (take(".csv")) {
    name.syntax = RowSyntax::kCsv;
  } else if (name.compression == Compression::kNone && take(".parquet")) {
    name.syntax = RowSyntax::kParquet;
  } else if (!take(".jsonl") && !take(".json")) {
    name.ending.clear();
    if (name.compression == Compression::kNone) name.stem = path.stem().string();
  }
  return name;
}

}  // namespace moelora::data
