// Which files the configured sources stand for.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"
#include "core/error.h"
#include "data/dataset.h"
#include "data/dataset_info.h"

namespace moelora::data {

struct SourceEntry {
  std::filesystem::path path;
  Split split = Split::kTrain;
  std::optional<std::string> format;
  std::shared_ptr<const ColumnMap> columns;  // of LLaMA-Factory's dataset_info.json
  std::optional<std::string> task;           // of every row
  std::optional<std::string> fallback_task;  // of rows without a label of their own
  std::string licence;                       // of a LICENSE file that covers it
};

struct SourceList {
  std::vector<SourceEntry> files;  // of all splits, sources in order, then tasks by name, then splits
  std::vector<Error> errors;
  std::vector<std::string> warnings;
};

SourceList list_sources(const config::DataConfig& config, const DatasetRequest& request);

/// Whether `data.tasks` names other tasks than this.
bool is_left_out(const config::DataConfig& config, std::string_view task);

/// The same for every name of a file: absolute, links followed. It needn't exist. The path as it is where the system
/// won't say, as in a loop of links.
std::filesystem::path real_path(const std::filesystem::path& path);

}  // namespace moelora::data
