// What adapters compute, as a name: for caches of what was computed with them.
#pragma once

#include <string>

#include "adapters/adapter_set.h"

namespace moelora::adapters {

/// XXH3-128, 32 hex digits, of everything that decides what the adapters compute: two sets of one fingerprint are the
/// same. Reads every parameter.
std::string fingerprint(const AdapterSet& adapters);

}  // namespace moelora::adapters
