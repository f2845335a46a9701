// Where a run's numbers go: metrics.jsonl (one JSON object a line) and TensorBoard events, side by side.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/durable.h"
#include "train/tensorboard.h"

namespace moelora::train {

class MetricsLog {
 public:
  /// Makes or continues run_dir/metrics.jsonl; TensorBoard events go to a new file in the same directory.
  explicit MetricsLog(const std::filesystem::path& run_dir);

  /// `record` is an object with "step". Every number in it, nested ones by their path ("eval/report/loss"), becomes a
  /// scalar, and so do `more`, which are events only. What depends on the clock belongs under "time": the rest of the
  /// file is the same for the same seed.
  void write(const nlohmann::ordered_json& record, const std::map<std::string, double>& more = {});

  /// Forces the lines to the disk and returns the file's size: what a checkpoint records.
  int64_t sync();
  /// For a resumed run: cuts the file back to that size and returns its lines without "time". A file that is shorter
  /// (someone removed it) is a warning: the log isn't what the run computes with.
  nlohmann::json rewind_to(int64_t size);

 private:
  std::filesystem::path path_;
  AppendLog lines_;
  TensorBoardWriter events_;
};

}  // namespace moelora::train
