#include "core/interrupt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "core/error.h"

namespace moelora {
namespace {

/// The wait status of a child that runs `action` with the handlers installed.
int status_of(const std::function<int()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    install_interrupt_handlers();
    ::_exit(action());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(Interrupt, IsARequestAtFirst) {
  for (const int number : {SIGINT, SIGTERM}) {
    const int status = status_of([number] {
      if (interrupt_requested() || interrupt_signal() != 0) return 1;
      throw_if_interrupted();
      ::raise(number);
      return interrupt_requested() && interrupt_signal() == number ? 0 : 2;
    });
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

TEST(Interrupt, KillsAtTheSecondSignal) {
  const int status = status_of([] {
    ::raise(SIGTERM);
    ::raise(SIGINT);
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST(Interrupt, BecomesAnErrorWithItsOwnExitCode) {
  const int status = status_of([] {
    ::raise(SIGINT);
    try {
      throw_if_interrupted();
    } catch (const Error& error) {
      return error.exit_code();
    }
    return 0;
  });
  EXPECT_EQ(WEXITSTATUS(status), 75);
}

}  // namespace
}  // namespace moelora
