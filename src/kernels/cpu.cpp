#include "kernels/cpu.h"

#include <atomic>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/suggest.h"
#include "kernels/passes.h"

namespace moelora::kernels {
namespace {

constexpr std::string_view kNames[] = {"default", "avx2", "avx512", "avx512_bf16"};

bool supported(CpuLevel level) {
#if defined(__x86_64__)
  switch (level) {
    case CpuLevel::kDefault:
      return true;
    case CpuLevel::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CpuLevel::kAvx512:
      return supported(CpuLevel::kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    case CpuLevel::kAvx512Bf16:
      return supported(CpuLevel::kAvx512) && __builtin_cpu_supports("avx512bf16") &&
             __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return level == CpuLevel::kDefault;
#endif
}

CpuLevel initial_level() {
  const std::vector<CpuLevel> levels = supported_cpu_levels();
  const char* wanted = std::getenv("MOELORA_CPU");
  if (wanted == nullptr || *wanted == '\0') return levels.back();
  std::vector<std::string> names;
  for (const CpuLevel level : levels) {
    if (cpu_level_name(level) == wanted) return level;
    names.emplace_back(cpu_level_name(level));
  }
  throw Error(ErrorKind::kUsage, {.where = "environment variable MOELORA_CPU",
                                  .problem = "not an instruction-set level this processor has",
                                  .found = wanted,
                                  .expected = list_names(names),
                                  .hint = did_you_mean(wanted, names)});
}

std::atomic<int> chosen{-1};

}  // namespace

std::vector<CpuLevel> supported_cpu_levels() {
  std::vector<CpuLevel> levels;
  for (const CpuLevel level : {CpuLevel::kDefault, CpuLevel::kAvx2, CpuLevel::kAvx512, CpuLevel::kAvx512Bf16}) {
    if (supported(level)) levels.push_back(level);
  }
  return levels;
}

std::string_view cpu_level_name(CpuLevel level) {
  return kNames[static_cast<int>(level)];
}

CpuLevel cpu_level() {
  int level = chosen.load(std::memory_order_relaxed);
  if (level < 0) {
    level = static_cast<int>(initial_level());
    chosen.store(level, std::memory_order_relaxed);
  }
  return static_cast<CpuLevel>(level);
}

void set_cpu_level(CpuLevel level) {
  if (!supported(level)) {
    throw Error(ErrorKind::kUsage, {.where = "instruction-set level",
                                    .problem = "this processor lacks it",
                                    .found = std::string(cpu_level_name(level))});
  }
  chosen.store(static_cast<int>(level), std::memory_order_relaxed);
}

const PassSet& passes() {
  switch (cpu_level()) {
#if defined(__x86_64__)
    case CpuLevel::kAvx2:
      return kPassesAvx2;
    case CpuLevel::kAvx512:
      return kPassesAvx512;
    case CpuLevel::kAvx512Bf16:
      return kPassesAvx512Bf16;
#endif
    default:
      return kPassesDefault;
  }
}

}  // namespace moelora::kernels
