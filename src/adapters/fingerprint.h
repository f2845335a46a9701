// What adapters compute, as a name: for caches of what was computed with them.
#pragma once

#include <string>

#include "adapters/adapter_set.h"

namespace moelora::adapters {

/// XXH3-128, 32 hex digits: of two sets with the same list of tasks, the same only where they compute the same. Reads
/// every parameter.
std::string fingerprint(const AdapterSet& adapters);

}  // namespace moelora::adapters
