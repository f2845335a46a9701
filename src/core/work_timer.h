// Where a step's time goes: seconds by kind of work, each kind without what is nested inside it. Off unless a benchmark
// asks.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace moelora {

enum class Work { kOther, kMatrix, kAttention, kElementwise, kAdapter, kLoss, kOptimizer, kData };
inline constexpr size_t kWorkKinds = 8;

/// "matrix", "attention" …: the key of a kind in reports.
std::string_view work_name(Work work);

/// Seconds by kind, indexed by Work.
using WorkSeconds = std::array<double, kWorkKinds>;

/// Starts or stops counting on this thread; starting sets all to 0.
void count_work(bool on);
/// What was counted on this thread, up to now.
WorkSeconds counted_work();

/// The rest of the scope is work of that kind, until a timer inside it says otherwise. Two clock readings while
/// counting, else a test of a flag.
class WorkTimer {
 public:
  explicit WorkTimer(Work work);
  ~WorkTimer();
  WorkTimer(const WorkTimer&) = delete;
  WorkTimer& operator=(const WorkTimer&) = delete;

 private:
  bool counting_;
  Work outer_ = Work::kOther;
};

}  // namespace moelora
