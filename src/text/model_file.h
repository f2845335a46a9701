// Reading the files of a model directory. Internal to src/text.
#pragma once

#include <filesystem>
#include <string>

namespace moelora::text::internal {

/// The whole file. Throws Error naming it: kModel where it is missing or can't be read, kIo where that can't be found
/// out (status_of).
std::string read_model_file(const std::filesystem::path& path);

}  // namespace moelora::text::internal
