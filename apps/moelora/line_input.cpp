#include "line_input.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/file_system.h"
#include "core/interrupt.h"

namespace moelora::app {

LineInput::Outcome LineInput::read(std::string& line) {
  constexpr int kPatienceMs = 100;  // a signal just before poll() would else be noticed with the next line
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      if (line.ends_with('\r')) line.pop_back();
      return Outcome::kLine;
    }
    if (ended_) return Outcome::kEnd;
    if (interrupt_requested()) return Outcome::kSignal;
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (::poll(&input, 1, kPatienceMs) <= 0) continue;
    std::array<char, 4096> bytes;
    const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count > 0) buffer_.append(bytes.data(), static_cast<size_t>(count));
    if (count < 0 && errno != EINTR && errno != EAGAIN) throw io_error("standard input", "read", errno);
    ended_ = count == 0;
  }
}

}  // namespace moelora::app
