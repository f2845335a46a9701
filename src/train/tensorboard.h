// TensorBoard event files, written directly: TFRecord framing (length, masked CRC-32C, data, masked CRC-32C) around
// protocol-buffer Event messages (tensorflow/core/util/event.proto, framework/summary.proto: only version headers and
// simple scalar values).
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace moelora::train {

class TensorBoardWriter {
 public:
  /// Opens directory/events.out.tfevents.<seconds>.<host>.<pid>. Throws Error (kIo) where it can't.
  explicit TensorBoardWriter(const std::filesystem::path& directory);

  /// One event with these scalars, now.
  void write(int64_t step, const std::map<std::string, double>& scalars);

 private:
  void write_record(const std::string& event);

  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace moelora::train
