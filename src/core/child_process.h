// This program again, beside itself: how a verb trains two runs at once. A small model's step gains little from a
// second thread, and twice as much from a second run.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace moelora {

/// The cores that this process may run on, divided into `shares` parts of usable_cores() / shares each; fewer parts
/// where there are fewer cores, at least one.
std::vector<std::vector<int>> divide_cores(int64_t shares);

/// Confines the calling thread, and threads it starts from now on, to `cores`.
void run_on_cores(const std::vector<int>& cores);

/// A child process in a group of its own, so that a terminal's Ctrl-C reaches it once only: by its parent's hand. It
/// is asked to stop (SIGTERM) when this object or this process ends, however that happens.
class ChildProcess {
 public:
  /// Starts /proc/self/exe with `arguments` on `cores`; what it prints is appended to `log`. Error (kIo) where the log
  /// can't be opened or no process can be made.
  ChildProcess(const std::vector<std::string>& arguments, const std::vector<int>& cores, std::filesystem::path log);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Whether it hasn't ended yet. Never waits.
  bool running();
  /// 0 to 255 of an ended child, 128 + the signal of one that was killed, 1 where it can't be known.
  int exit_code() const { return exit_code_; }
  /// The last whole line it printed; empty where there is none.
  std::string last_line() const;
  const std::filesystem::path& log() const { return log_; }

 private:
  void collect(int options);

  std::filesystem::path log_;
  pid_t process_ = -1;
  int exit_code_ = 0;
};

}  // namespace moelora
