#include "core/work_timer.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>

namespace moelora {
namespace {

using namespace std::chrono_literals;

double of(const WorkSeconds& seconds, Work work) {
  return seconds[static_cast<size_t>(work)];
}

TEST(WorkTimer, CountsEachKindWithoutWhatIsNestedInIt) {
  count_work(true);
  {
    const WorkTimer outer(Work::kAdapter);
    std::this_thread::sleep_for(20ms);
    {
      const WorkTimer inner(Work::kMatrix);
      std::this_thread::sleep_for(60ms);
    }
    std::this_thread::sleep_for(20ms);
  }
  const WorkSeconds seconds = counted_work();
  count_work(false);
  EXPECT_GE(of(seconds, Work::kMatrix), 0.06);
  EXPECT_GE(of(seconds, Work::kAdapter), 0.04);
  EXPECT_LT(of(seconds, Work::kAdapter), 0.06 + 0.5 * of(seconds, Work::kMatrix));
  EXPECT_EQ(of(seconds, Work::kLoss), 0);
}

TEST(WorkTimer, KindsAddUpToTheTimeBetweenStartAndStop) {
  const auto start = std::chrono::steady_clock::now();
  count_work(true);
  {
    const WorkTimer timer(Work::kLoss);
    std::this_thread::sleep_for(5ms);
  }
  std::this_thread::sleep_for(5ms);
  const WorkSeconds seconds = counted_work();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  count_work(false);
  const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  EXPECT_GE(sum, 0.01);
  EXPECT_LE(sum, wall);
}

TEST(WorkTimer, CountsNothingWhereNobodyAsked) {
  count_work(true);
  count_work(false);
  const WorkSeconds before = counted_work();
  {
    const WorkTimer timer(Work::kMatrix);
    std::this_thread::sleep_for(2ms);
  }
  EXPECT_EQ(counted_work(), before);
}

}  // namespace
}  // namespace moelora
