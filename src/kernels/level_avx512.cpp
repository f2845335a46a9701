// The passes for the level avx512: AVX-512 F, BW, VL, DQ (flags: CMakeLists.txt).
#include "kernels/level_impl.h"

namespace moelora::kernels {
extern constexpr PassSet kPassesAvx512 = make_pass_set();
}  // namespace moelora::kernels
