// Which instruction set the kernels use: the best the processor has, chosen once, or what MOELORA_CPU names.
#pragma once

#include <string_view>
#include <vector>

namespace moelora::kernels {

/// In ascending order; each includes those before it.
enum class CpuLevel {
  kDefault,     // portable C++, baseline of the target
  kAvx2,        // AVX2 and FMA
  kAvx512,      // AVX-512 F, BW, VL, DQ
  kAvx512Bf16,  // and products of bf16 pairs
};

/// The level in use. The first call reads the environment variable MOELORA_CPU (default, avx2, avx512, avx512_bf16) and
/// throws Error (usage) where it names no level or one this processor lacks.
CpuLevel cpu_level();

/// Levels this processor can run, ascending; never empty.
std::vector<CpuLevel> supported_cpu_levels();

/// Name as MOELORA_CPU spells it.
std::string_view cpu_level_name(CpuLevel level);

/// Overrides the level for this process (tests and benchmarks compare them). Must be supported; not while a kernel
/// runs.
void set_cpu_level(CpuLevel level);

}  // namespace moelora::kernels
