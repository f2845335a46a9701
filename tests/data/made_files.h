// Temporary directories and files of rows for the tests of the data layer.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace moelora::data {

/// A directory of its own for a test, removed with it.
class MadeFiles : public testing::Test {
 protected:
  MadeFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "moelora-data-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~MadeFiles() override { std::filesystem::remove_all(root_); }

  std::string write(const std::string& name, std::string_view contents) {
    const std::filesystem::path path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << contents;
    return path.string();
  }

  std::filesystem::path root_;
};

/// The messages of what `call` throws, one a line; "" where it throws nothing.
template <typename Call>
std::string thrown(const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// A PromptCBLUE row.
inline std::string qa(const std::string& input, const std::string& target, const std::string& more = "") {
  return R"({"input": ")" + input + R"(", "target": ")" + target + "\"" + (more.empty() ? "" : ", " + more) + "}\n";
}

}  // namespace moelora::data
