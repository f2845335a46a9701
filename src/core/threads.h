// What the machine offers to this process: cores it may really use and the CPU's instructions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace moelora {

/// Cores this process may use, at least 1: the smaller of its affinity mask and its cgroup's CPU quota (rounded up).
/// `root` is where proc/ and sys/ are.
int64_t usable_cores(const std::filesystem::path& root = "/");

/// Instruction sets that both the CPU and the operating system support.
struct CpuFeatures {
  std::string name;  // "Intel(R) Xeon(R) …"; empty where unknown
  bool avx2 = false;
  bool avx512f = false;
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
  bool amx_int8 = false;

  /// bf16 products in hardware: what `train.dtype: auto` asks.
  bool has_bf16() const { return avx512_bf16 || amx_bf16; }
  /// "avx2", "avx512f" …: those present, for a person and for the run's record.
  std::vector<std::string> names() const;
};

/// Of this machine.
const CpuFeatures& cpu_features();
/// Of a file in the form of /proc/cpuinfo: the kernel lists there what it enables, so both conditions hold.
CpuFeatures read_cpu_features(const std::filesystem::path& cpuinfo);

}  // namespace moelora
