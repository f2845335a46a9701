#include "core/child_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "core/threads.h"

namespace moelora {
namespace {

constexpr int kMostCpus = 1 << 14;

/// A mask wide enough for any machine.
class CpuSet {
 public:
  explicit CpuSet(const std::vector<int>& cores = {}) : set_(CPU_ALLOC(kMostCpus)) {
    CPU_ZERO_S(bytes(), set_);
    for (const int core : cores) CPU_SET_S(core, bytes(), set_);
  }
  ~CpuSet() { CPU_FREE(set_); }
  CpuSet(const CpuSet&) = delete;
  CpuSet& operator=(const CpuSet&) = delete;
  static size_t bytes() { return CPU_ALLOC_SIZE(kMostCpus); }
  cpu_set_t* get() const { return set_; }
  bool holds(int core) const { return CPU_ISSET_S(core, bytes(), set_); }

 private:
  cpu_set_t* set_;
};

std::vector<int> allowed_cores() {
  CpuSet set;
  std::vector<int> cores;
  if (sched_getaffinity(0, CpuSet::bytes(), set.get()) != 0) return cores;
  for (int core = 0; core < kMostCpus; ++core) {
    if (set.holds(core)) cores.push_back(core);
  }
  return cores;
}

Error failed(const std::string& where, const std::string& what) {
  return Error(ErrorKind::kIo, {.where = where, .problem = what + ": " + std::strerror(errno)});
}

}  // namespace

std::vector<std::vector<int>> divide_cores(int64_t shares) {
  const int64_t usable = usable_cores();
  const int64_t parts = std::clamp<int64_t>(shares, 1, usable);
  const std::vector<int> cores = allowed_cores();
  std::vector<std::vector<int>> divided(static_cast<size_t>(parts));
  if (cores.empty()) return divided;
  const auto each = static_cast<size_t>(usable / parts);
  for (size_t part = 0; part < divided.size(); ++part) {
    for (size_t i = part * each; i < (part + 1) * each; ++i) divided[part].push_back(cores[i]);
  }
  return divided;
}

void run_on_cores(const std::vector<int>& cores) {
  if (cores.empty()) return;
  sched_setaffinity(0, CpuSet::bytes(), CpuSet(cores).get());  // where it is refused, all cores are as good
}

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const std::vector<int>& cores,
                           std::filesystem::path log)
    : log_(std::move(log)) {
  std::vector<char*> argv = {const_cast<char*>("moelora")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int output = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) throw failed(log_.string(), "can't be opened");
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const CpuSet set(cores);  // made before the fork, after which nothing may allocate
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);  // it ended before prctl
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    if (!cores.empty()) sched_setaffinity(0, CpuSet::bytes(), set.get());
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }
  const Error no_process = failed("fork", "no process can be made");
  ::close(output);
  if (nothing >= 0) ::close(nothing);
  if (process_ < 0) throw no_process;
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  ::kill(process_, SIGTERM);
  collect(0);
}

void ChildProcess::collect(int options) {
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(process_, &status, options);
  } while (ended < 0 && errno == EINTR);
  if (ended == 0) return;
  process_ = -1;
  if (ended < 0) {  // the system keeps no status where SIGCHLD is ignored
    exit_code_ = 1;
    return;
  }
  exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool ChildProcess::running() {
  if (process_ > 0) collect(WNOHANG);
  return process_ > 0;
}

std::string ChildProcess::last_line() const {
  constexpr std::streamoff kTail = 512;
  std::ifstream file(log_, std::ios::binary);
  file.seekg(0, std::ios::end);
  const std::streamoff size = file.tellg();
  if (size <= 0) return "";
  file.seekg(std::max<std::streamoff>(0, size - kTail));
  std::string line, last;
  while (std::getline(file, line) && !file.eof()) last = line;  // one without its newline is still being written
  return last;
}

}  // namespace moelora
