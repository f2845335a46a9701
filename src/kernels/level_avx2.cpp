// The passes for the level avx2: AVX2 and FMA (flags: CMakeLists.txt).
#include "kernels/level_impl.h"

namespace moelora::kernels {
extern constexpr PassSet kPassesAvx2 = make_pass_set();
}  // namespace moelora::kernels
