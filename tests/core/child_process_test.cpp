// The child is this test program itself, told to run the one disabled case.
#include "core/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>

#include "core/interrupt.h"
#include "core/temporary_directory.h"
#include "core/threads.h"

namespace moelora {
namespace {

using test::TemporaryDirectory;

const std::vector<std::string> kChild = {"--gtest_filter=ChildProcess.DISABLED_Body",
                                         "--gtest_also_run_disabled_tests"};

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

/// What the child does: says its cores, works until it is asked to stop, says that it was.
TEST(ChildProcess, DISABLED_Body) {
  install_interrupt_handlers();
  std::printf("cores %lld\n", static_cast<long long>(usable_cores()));
  std::fflush(stdout);
  ASSERT_TRUE(eventually(interrupt_requested));
  std::printf("stopped\n");
  std::fflush(stdout);
  ::_exit(75);
}

TEST(ChildProcess, DISABLED_Fails) {
  FAIL();
}

TEST(ChildProcess, PrintsIntoItsLogOnTheCoresItIsGiven) {
  TemporaryDirectory place;
  ChildProcess child(kChild, divide_cores(1 << 20).front(), place.path() / "child.log");
  EXPECT_TRUE(eventually([&] { return child.last_line() == "cores 1"; })) << child.last_line();
  EXPECT_TRUE(child.running());
}

TEST(ChildProcess, IsAskedToStopWhereItsOwnerEnds) {
  TemporaryDirectory place;
  {
    ChildProcess child(kChild, {}, place.path() / "child.log");
    ASSERT_TRUE(eventually([&] { return child.last_line().starts_with("cores"); }));
  }
  std::string text = test::read_file(place.path() / "child.log");
  EXPECT_THAT(text, ::testing::EndsWith("stopped\n"));
}

TEST(ChildProcess, TellsHowItEnded) {
  TemporaryDirectory place;
  ChildProcess listing({"--gtest_list_tests"}, {}, place.path() / "listing.log");
  EXPECT_TRUE(eventually([&] { return !listing.running(); }));
  EXPECT_EQ(listing.exit_code(), 0);
  ChildProcess wrong({"--gtest_filter=ChildProcess.DISABLED_Fails", "--gtest_also_run_disabled_tests"}, {},
                     place.path() / "wrong.log");
  EXPECT_TRUE(eventually([&] { return !wrong.running(); }));
  EXPECT_EQ(wrong.exit_code(), 1);
}

TEST(DivideCores, GivesEachPartItsOwn) {
  const int64_t usable = usable_cores();
  std::vector<int> all;
  for (const std::vector<int>& part : divide_cores(2)) {
    EXPECT_EQ(static_cast<int64_t>(part.size()), usable / std::min<int64_t>(2, usable));
    all.insert(all.end(), part.begin(), part.end());
  }
  std::ranges::sort(all);
  EXPECT_TRUE(std::ranges::adjacent_find(all) == all.end());
  EXPECT_EQ(static_cast<int64_t>(divide_cores(1 << 20).size()), usable);
}

}  // namespace
}  // namespace moelora
