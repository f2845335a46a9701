// A loop over rows on plain threads; results don't depend on how many.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/threads.h"

namespace moelora::data {

/// Calls body(i) once for every i in [0, count) in any order, on `threads` threads (0: all usable cores). The first
/// exception that arrives is thrown here after all threads have stopped; body(i) for later i may then be missing.
template <typename Body>
void parallel_for(int64_t count, int64_t threads, const Body& body) {
  constexpr int64_t kChunk = 32;
  if (threads <= 0) threads = usable_cores();
  threads = std::clamp<int64_t>((count + kChunk - 1) / kChunk, 1, threads);
  std::atomic<int64_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    try {
      for (int64_t begin = next.fetch_add(kChunk); begin < count; begin = next.fetch_add(kChunk)) {
        for (int64_t i = begin; i < std::min(begin + kChunk, count); ++i) body(i);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int64_t i = 1; i < threads; ++i) workers.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace moelora::data
