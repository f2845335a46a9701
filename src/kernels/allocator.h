// Memory of CPU tensors, kept from one step to the next: the activations of a micro-batch take the place of those of
// the one before, whatever its length, so after the first steps nearly none of it comes from the system, and the kernel
// clears no page again.
#pragma once

#include <cstdint>

namespace moelora::kernels {

struct AllocatorCounts {
  int64_t from_system = 0;  // blocks whose pages the system had to give
  int64_t reused = 0;       // blocks given again
  int64_t bytes_held = 0;   // in use and kept
  int64_t bytes_in_use = 0;
};

/// Makes it the allocator of all CPU tensors made from now on; a second call changes nothing. What is held stays
/// within an eighth (at least 64 MiB) above the most that was ever in use: beyond it, unused blocks go back to the
/// system.
void install_caching_allocator();

/// Since the process began; all 0 where it isn't installed.
AllocatorCounts allocator_counts();

}  // namespace moelora::kernels
