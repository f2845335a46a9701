// The child is this test program itself, told by a variable of its environment to be one.
#include "core/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

#include "core/interrupt.h"
#include "core/temporary_directory.h"
#include "core/threads.h"

namespace moelora {
namespace {

using test::TemporaryDirectory;

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

/// What the child does instead of running tests: says its cores, works until it is asked to stop, says that it was.
void work_as_child() {
  install_interrupt_handlers();
  std::printf("cores %lld\n", static_cast<long long>(usable_cores()));
  std::fflush(stdout);
  if (!eventually(interrupt_requested)) ::_exit(1);
  std::printf("stopped\n");
  std::fflush(stdout);
  ::_exit(75);
}

/// Before main: children of this program have the variable.
constexpr const char* kChildVariable = "MOELORA_TEST_CHILD";
const bool child = [] {
  const char* told = std::getenv(kChildVariable);
  if (told == nullptr) return false;
  if (std::string(told) == "fail") ::_exit(3);
  work_as_child();
  return true;
}();

class ChildProcessTest : public ::testing::Test {
 protected:
  ChildProcessTest() { ::setenv(kChildVariable, "1", /*overwrite=*/1); }
  ~ChildProcessTest() override { ::unsetenv(kChildVariable); }

  TemporaryDirectory place_;
};

TEST_F(ChildProcessTest, PrintsIntoItsLogOnTheCoresItIsGiven) {
  ChildProcess process({}, divide_cores(1 << 20).front(), place_.path() / "child.log");
  EXPECT_TRUE(eventually([&] { return process.last_line() == "cores 1"; })) << process.last_line();
  EXPECT_TRUE(process.running());
}

TEST_F(ChildProcessTest, IsAskedToStopWhereItsOwnerEnds) {
  {
    ChildProcess process({}, {}, place_.path() / "child.log");
    ASSERT_TRUE(eventually([&] { return process.last_line().starts_with("cores"); }));
  }
  EXPECT_THAT(test::read_file(place_.path() / "child.log"), ::testing::EndsWith("stopped\n"));
}

TEST_F(ChildProcessTest, TellsHowItEnded) {
  ::unsetenv(kChildVariable);
  ChildProcess listing({"--gtest_list_tests"}, {}, place_.path() / "listing.log");
  EXPECT_TRUE(eventually([&] { return !listing.running(); }));
  EXPECT_EQ(listing.exit_code(), 0);
  ::setenv(kChildVariable, "fail", /*overwrite=*/1);
  ChildProcess wrong({}, {}, place_.path() / "wrong.log");
  EXPECT_TRUE(eventually([&] { return !wrong.running(); }));
  EXPECT_EQ(wrong.exit_code(), 3);
}

TEST_F(ChildProcessTest, CountsAsFailedWhereItsStatusIsLost) {
  ::unsetenv(kChildVariable);
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  ChildProcess listing({"--gtest_list_tests"}, {}, place_.path() / "listing.log");
  EXPECT_TRUE(eventually([&] { return !listing.running(); }));
  ::signal(SIGCHLD, before);
  EXPECT_EQ(listing.exit_code(), 1);
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
