// Wall and CPU time since a moment.
#pragma once

#include <chrono>

namespace moelora::bench {

/// CPU time of all the process's threads so far.
double process_cpu_seconds();

class Stopwatch {
 public:
  Stopwatch();
  double seconds() const;
  double cpu_seconds() const;  // of all threads

 private:
  std::chrono::steady_clock::time_point wall_;
  double cpu_seconds_;
};

}  // namespace moelora::bench
