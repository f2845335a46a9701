// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <filesystem>

namespace moelora {

/// Bytes: the least of what the machine has available (MemAvailable of /proc/meminfo) and what its cgroup and that
/// one's ancestors leave it (memory.max less memory.current, with the page cache they would give back). `root` is where
/// proc/ and sys/ are. Where nothing is known, the largest number.
int64_t available_memory_bytes(const std::filesystem::path& root = "/");

}  // namespace moelora
