// The passes for the level default: the target's baseline (flags: CMakeLists.txt).
#include "kernels/level_impl.h"

namespace moelora::kernels {
extern constexpr PassSet kPassesDefault = make_pass_set();
}  // namespace moelora::kernels
