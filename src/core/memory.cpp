#include "core/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "core/cgroup.h"

namespace moelora {
namespace {

std::optional<int64_t> number_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

/// The number behind `key` in a file of "key number" lines; 0 without it.
int64_t entry(const std::filesystem::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtoll(line.c_str() + key.size(), nullptr, 10);
  }
  return 0;
}

}  // namespace

int64_t available_memory_bytes(const std::filesystem::path& root) {
  int64_t least = std::numeric_limits<int64_t>::max();
  const int64_t machine_kib = entry(root / "proc/meminfo", "MemAvailable:");
  if (machine_kib > 0) least = machine_kib * 1024;
  visit_cgroups(root, "memory", [&](const std::filesystem::path& folder, bool unified) {
    const auto limit = number_in(folder / (unified ? "memory.max" : "memory.limit_in_bytes"));  // "max" is no number
    const auto used = number_in(folder / (unified ? "memory.current" : "memory.usage_in_bytes"));
    if (!limit || !used) return;
    const int64_t cache = entry(folder / "memory.stat", unified ? "inactive_file " : "total_inactive_file ");
    least = std::min(least, std::max<int64_t>(0, *limit - *used + cache));
  });
  return least;
}

}  // namespace moelora
