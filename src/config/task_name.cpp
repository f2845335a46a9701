#include "config/task_name.h"

#include <algorithm>

#include "config/run_config.h"
#include "core/utf8.h"

namespace moelora::config {

bool is_task_name(std::string_view name) {
  constexpr size_t kMostBytes = 100;
  if (name.empty() || name == kBestOfMean || name == kBestPerTask || name.size() > kMostBytes || name[0] == '.' ||
      name[0] == '-' || first_invalid_utf8(name))
    return false;
  return std::ranges::none_of(
      name, [](unsigned char c) { return c <= 0x20 || c == 0x7f || c == '/' || c == '\\' || c == ':'; });
}

}  // namespace moelora::config
