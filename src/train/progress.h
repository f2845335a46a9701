// What a person sees of a long piece of work: a bar that redraws itself on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace moelora::train {

/// "1 h 05 min", "3 min 20 s", "42 s".
std::string format_duration(double seconds);

class Progress {
 public:
  /// `total` units of work of which `done` are done already (a resumed run). `quiet`: nothing is printed.
  Progress(std::string title, int64_t total, int64_t done, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `text` follows the bar: rate, loss. On a terminal at most ten times a second, elsewhere every 30 seconds.
  void update(int64_t done, const std::string& text);
  /// Clears the bar, so that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(int64_t done, const std::string& text) const;

  std::string title_;
  int64_t total_;
  int64_t start_done_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = {};
};

}  // namespace moelora::train
