#include "bench/stopwatch.h"

#include <time.h>

namespace moelora::bench {

double process_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Stopwatch::Stopwatch() : wall_(std::chrono::steady_clock::now()), cpu_seconds_(process_cpu_seconds()) {}

double Stopwatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_).count();
}

double Stopwatch::cpu_seconds() const {
  return process_cpu_seconds() - cpu_seconds_;
}

}  // namespace moelora::bench
