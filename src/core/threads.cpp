#include "core/threads.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <sstream>

#include "core/cgroup.h"

namespace moelora {
namespace {

int64_t affinity_cores() {
  // The mask may be wider than cpu_set_t's 1,024 on large machines.
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 16); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(cpus));
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return count;
  }
  return sysconf(_SC_NPROCESSORS_ONLN);
}

/// Cores of "QUOTA PERIOD" (cgroup v2's cpu.max; "max" means no limit), rounded up.
std::optional<int64_t> quota_cores(std::istream& text) {
  double quota = 0;
  double period = 0;
  if (!(text >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<int64_t>(std::ceil(quota / period));
}

int64_t cgroup_cores(const std::filesystem::path& root) {
  int64_t least = std::numeric_limits<int64_t>::max();
  visit_cgroups(root, "cpu", [&](const std::filesystem::path& folder, bool unified) {
    std::stringstream both;
    if (unified) {
      both << std::ifstream(folder / "cpu.max").rdbuf();
    } else {
      both << std::ifstream(folder / "cpu.cfs_quota_us").rdbuf() << ' '
           << std::ifstream(folder / "cpu.cfs_period_us").rdbuf();
    }
    if (const auto cores = quota_cores(both)) least = std::min(least, *cores);
  });
  return least;
}

}  // namespace

int64_t usable_cores(const std::filesystem::path& root) {
  return std::max<int64_t>(1, std::min(affinity_cores(), cgroup_cores(root)));
}

std::vector<std::string> CpuFeatures::names() const {
  std::vector<std::string> names;
  if (avx2) names.emplace_back("avx2");
  if (avx512f) names.emplace_back("avx512f");
  if (avx512_vnni) names.emplace_back("avx512_vnni");
  if (avx512_bf16) names.emplace_back("avx512_bf16");
  if (amx_bf16) names.emplace_back("amx_bf16");
  if (amx_int8) names.emplace_back("amx_int8");
  return names;
}

CpuFeatures read_cpu_features(const std::filesystem::path& cpuinfo) {
  CpuFeatures features;
  std::ifstream file(cpuinfo);
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = line.substr(std::min(line.size(), colon + 2));
    if (key == "model name" && features.name.empty()) features.name = value;
    if (key != "flags") continue;
    std::istringstream words(value);
    const std::set<std::string> flags{std::istream_iterator<std::string>(words), {}};
    features.avx2 = flags.contains("avx2");
    features.avx512f = flags.contains("avx512f");
    features.avx512_vnni = flags.contains("avx512_vnni");
    features.avx512_bf16 = flags.contains("avx512_bf16");
    features.amx_bf16 = flags.contains("amx_bf16");
    features.amx_int8 = flags.contains("amx_int8");
    break;  // the other cores say the same
  }
  return features;
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = read_cpu_features("/proc/cpuinfo");
  return features;
}

}  // namespace moelora
