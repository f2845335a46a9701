#include "text/model_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "core/error.h"
#include "core/file_system.h"

namespace moelora::text::internal {

std::string read_model_file(const std::filesystem::path& path) {
  const std::filesystem::file_status status = status_of(path);
  if (!std::filesystem::exists(status)) {
    throw Error(ErrorKind::kModel, {.where = path.string(), .problem = "no such file"});
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw Error(ErrorKind::kModel, {.where = path.string(), .problem = "not a file"});
  }
  std::error_code error;
  std::ifstream in(path, std::ios::binary);
  const auto size = in ? std::filesystem::file_size(path, error) : 0;
  std::string contents(error ? 0 : size, '\0');
  if (!in || error || !in.read(contents.data(), static_cast<std::streamsize>(contents.size()))) {
    throw Error(ErrorKind::kModel, {.where = path.string(), .problem = "can't be read", .found = std::strerror(errno)});
  }
  return contents;
}

}  // namespace moelora::text::internal
