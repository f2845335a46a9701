// What NF4 (nf4.h), its passes and those who count its bytes share: constants alone, for the passes are compiled once
// per instruction set.
#pragma once

#include <cstdint>

namespace moelora::kernels {

/// The sixteen levels: quantiles of the standard normal, from -1 to 1 (Dettmers et al., arXiv 2305.14314, appendix E).
inline constexpr float kNf4Levels[16] = {-1.0f,
                                         -0.6961928009986877f,
                                         -0.5250730514526367f,
                                         -0.39491748809814453f,
                                         -0.28444138169288635f,
                                         -0.18477343022823334f,
                                         -0.09105003625154495f,
                                         0.0f,
                                         0.07958029955625534f,
                                         0.16093020141124725f,
                                         0.24611230194568634f,
                                         0.33791524171829224f,
                                         0.44070982933044434f,
                                         0.5626170039176941f,
                                         0.7229568362236023f,
                                         1.0f};

/// Numbers that share a scale.
inline constexpr int64_t kNf4Block = 64;
/// Scales that share one of their own, where they are quantised too.
inline constexpr int64_t kNf4ScaleBlock = 256;

}  // namespace moelora::kernels
