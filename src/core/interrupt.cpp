#include "core/interrupt.h"

#include <signal.h>

#include <atomic>

#include "core/error.h"

namespace moelora {
namespace {

std::atomic<int> g_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

void on_signal(int number) {
  int none = 0;
  if (g_signal.compare_exchange_strong(none, number)) return;
  ::signal(number, SIG_DFL);
  ::raise(number);  // blocked until this handler returns, then fatal
}

}  // namespace

void install_interrupt_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupt_requested() {
  return g_signal.load(std::memory_order_relaxed) != 0;
}

int interrupt_signal() {
  return g_signal;
}

void clear_interrupt() {
  g_signal = 0;
}

void throw_if_interrupted() {
  if (!interrupt_requested()) return;
  throw Error(
      ErrorKind::kInterrupted,
      {.where = "", .problem = interrupt_signal() == SIGINT ? "interrupted (SIGINT)" : "interrupted (SIGTERM)"});
}

}  // namespace moelora
