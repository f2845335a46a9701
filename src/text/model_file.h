// Reading the files of a model directory. Internal to src/text.
#pragma once

#include <filesystem>
#include <string>

namespace moelora::text::internal {

/// The whole file. Throws Error(kModel) naming it where it is missing or can't be read.
std::string read_model_file(const std::filesystem::path& path);

}  // namespace moelora::text::internal
