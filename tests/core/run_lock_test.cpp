#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/temporary_directory.h"

namespace moelora {
namespace {

using test::TemporaryDirectory;

TEST(RunLock, IsExclusiveAndFreeAgainAfterwards) {
  TemporaryDirectory place;
  {
    RunLock lock(place.path() / "runs/x");
    EXPECT_THROW(RunLock second(place.path() / "runs/x"), Error);
    EXPECT_EQ(RunLock::take_if_free(place.path() / "runs/x"), nullptr);
    EXPECT_NE(RunLock::take_if_free(place.path() / "runs/z"), nullptr);
    RunLock other(place.path() / "runs/y");
  }
  RunLock again(place.path() / "runs/x");
}

TEST(RunLock, NamesTheProcessThatHoldsItAndIsFreedByItsDeath) {
  TemporaryDirectory place;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    RunLock lock(place.path());
    [[maybe_unused]] const ssize_t written = ::write(ready[1], "x", 1);
    while (true) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  try {
    RunLock lock(place.path());
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.what(), testing::HasSubstr("process id " + std::to_string(child) + ")"));
    EXPECT_EQ(error.details().where, place.path().string());
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  RunLock lock(place.path());
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace moelora
