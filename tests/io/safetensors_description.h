// Files described in one line, so that our reader and the reference library can be compared as text.
#pragma once

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "io/test_files.h"

namespace moelora::io {

inline std::string hex_of(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<int>(byte) >> 4];
    text += kDigits[std::to_integer<int>(byte) & 15];
  }
  return text;
}

/// As oracle.py's `describe` prints a file that is accepted.
inline std::string description(const SafetensorsFile& file) {
  std::vector<std::string> parts;
  for (const std::string& name : file.names()) {
    const StoredTensor& tensor = file.at(name);
    std::string shape;
    for (const int64_t dimension : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(dimension);
    parts.push_back(hex_of(bytes_of(name)) + ":" + std::string(dtype_name(tensor.dtype)) + ":[" + shape +
                    "]:" + hex_of(tensor.bytes) + ";");
  }
  std::sort(parts.begin(), parts.end());
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

/// What the reference library makes of each file: its description, or "refused".
inline std::vector<std::string> oracle_descriptions(const std::vector<std::string>& files) {
  const TestDirectory directory;
  std::string container;
  for (const std::string& file : files) container += safetensors_bytes(file);  // a length, then the bytes
  write_text(directory / "container", container);
  oracle({"describe", (directory / "container").string(), (directory / "out").string()});
  std::vector<std::string> lines;
  std::istringstream text(read_text(directory / "out"));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  EXPECT_EQ(lines.size(), files.size());
  lines.resize(files.size());
  return lines;
}

}  // namespace moelora::io
