// The passes for the level avx512_bf16: products of bf16 pairs (flags: CMakeLists.txt).
#include "kernels/level_impl.h"

namespace moelora::kernels {
extern constexpr PassSet kPassesAvx512Bf16 = make_pass_set();
}  // namespace moelora::kernels
