#include "core/work_timer.h"

#include <chrono>

namespace moelora {
namespace {

using Clock = std::chrono::steady_clock;

struct Count {
  bool on = false;
  Work current = Work::kOther;
  Clock::time_point since;
  WorkSeconds seconds{};

  void change_to(Work work) {
    const Clock::time_point now = Clock::now();
    seconds[static_cast<size_t>(current)] += std::chrono::duration<double>(now - since).count();
    current = work;
    since = now;
  }
};

thread_local Count count;

}  // namespace

std::string_view work_name(Work work) {
  static constexpr std::array<std::string_view, kWorkKinds> kNames = {"other",   "matrix", "attention", "elementwise",
                                                                      "adapter", "loss",   "optimizer", "data"};
  return kNames[static_cast<size_t>(work)];
}

void count_work(bool on) {
  if (on) {
    count = Count{.on = true, .since = Clock::now()};
  } else if (count.on) {
    count.change_to(Work::kOther);
    count.on = false;
  }
}

WorkSeconds counted_work() {
  if (count.on) count.change_to(count.current);
  return count.seconds;
}

WorkTimer::WorkTimer(Work work) : counting_(count.on) {
  if (!counting_) return;
  outer_ = count.current;
  count.change_to(work);
}

WorkTimer::~WorkTimer() {
  if (counting_ && count.on) count.change_to(outer_);
}

}  // namespace moelora
