// LLaMA-Factory's dataset_info.json: which file each of its data sets is, and what its columns are called.
// (LLaMA-Factory, data/README.md: formatting, columns, tags.)
#pragma once

#include <simdjson.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace moelora::data {

/// How rows of one data set become rows of a format of ours.
struct ColumnMap {
  std::string format;                          // alpaca or sharegpt
  std::map<std::string, std::string> columns;  // the row's key -> ours
  std::string role_tag = "from";               // of a sharegpt message
  std::string content_tag = "value";
  std::map<std::string, std::string> roles = {
      {"human", "human"}, {"gpt", "gpt"}, {"system", "system"}};  // theirs -> ours

  bool operator==(const ColumnMap&) const = default;
};

struct InfoEntry {
  std::string name;
  std::filesystem::path path;
  ColumnMap columns;
};

inline constexpr std::string_view kDatasetInfoFile = "dataset_info.json";

/// The entry called `name`, or every one that is a local file where `name` is empty, by name. Throws Error(kData)
/// naming the file and the entry's key for what isn't read here (ranking, tools, images, folders, files elsewhere,
/// unknown keys), and Error(kConfig) with the nearest name for an unknown entry.
std::vector<InfoEntry> read_dataset_info(const std::filesystem::path& path, const std::string& name);

/// The map as text: one for each.
std::string describe(const ColumnMap& map);

/// The row with its columns renamed, as JSON. Keys that every format may carry stay; keys of ours that the map doesn't
/// name are left out, as LLaMA-Factory leaves them. Throws RowProblem where the messages aren't as the tags say.
std::string rename_columns(const simdjson::dom::object& row, const ColumnMap& map);

}  // namespace moelora::data
