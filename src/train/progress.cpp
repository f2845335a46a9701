#include "train/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace moelora::train {

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  char text[64];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lld h %02lld min", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole % 3600 / 60));
  } else if (whole >= 60) {
    std::snprintf(text, sizeof text, "%lld min %02lld s", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld s", static_cast<long long>(whole));
  }
  return text;
}

Progress::Progress(std::string title, int64_t total, int64_t done, bool quiet)
    : title_(std::move(title)),
      total_(total),
      start_done_(done),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  clear();
}

void Progress::update(int64_t done, const std::string& text) {
  if (quiet_) return;
  const Clock::time_point now = Clock::now();
  const auto interval = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(30'000);
  if (now - last_ < interval && done < total_) return;
  last_ = now;
  std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", line(done, text).c_str());
  drawn_ = terminal_;
}

void Progress::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

std::string Progress::line(int64_t done, const std::string& text) const {
  constexpr int64_t kWidth = 24;
  const int64_t filled = total_ > 0 ? std::min(kWidth, kWidth * done / total_) : kWidth;
  std::string bar;
  for (int64_t i = 0; i < kWidth; ++i) bar += i < filled ? "━" : "─";
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const int64_t made = done - start_done_;
  const std::string left =
      made > 0 ? format_duration(elapsed / static_cast<double>(made) * static_cast<double>(total_ - done)) : "…";
  return title_ + " " + bar + " " + std::to_string(done) + "/" + std::to_string(total_) + "  " + text + "  " + left +
         " left";
}

}  // namespace moelora::train
