#include "core/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>

namespace moelora {
namespace {

struct LogState {
  std::atomic<LogLevel> level{LogLevel::kInfo};
  std::mutex mutex;
  LogSink sink;
};

void write_stderr(std::string_view line) {
  std::string text(line);
  text += '\n';
  // One write, so that lines of several processes on one terminal don't mix; where stderr is closed there is nobody to
  // tell.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

LogState& state() {
  // Never destroyed: static destructors may still log.
  static LogState* const log = [] {
    auto* made = new LogState;
    if (const char* name = std::getenv("MOELORA_LOG"); name != nullptr && *name != '\0') {
      if (const auto level = parse_log_level(name)) {
        made->level = *level;
      } else {
        write_stderr("warning: MOELORA_LOG: unknown level `" + std::string(name) +
                     "` (expected debug, info, warn, error or off)");
      }
    }
    return made;
  }();
  return *log;
}

void log_line(LogLevel level, std::string_view prefix, std::string_view message) {
  LogState& log = state();
  if (level < log.level.load(std::memory_order_relaxed)) return;
  std::string line(prefix);
  line += message;
  const std::lock_guard<std::mutex> guard(log.mutex);
  if (log.sink) {
    log.sink(level, line);
  } else {
    write_stderr(line);
  }
}

}  // namespace

void log_debug(std::string_view message) {
  log_line(LogLevel::kDebug, "debug: ", message);
}
void log_info(std::string_view message) {
  log_line(LogLevel::kInfo, "", message);
}
void log_warn(std::string_view message) {
  log_line(LogLevel::kWarn, "warning: ", message);
}
void log_error(std::string_view message) {
  log_line(LogLevel::kError, "error: ", message);
}

void set_log_level(LogLevel level) {
  state().level = level;
}
LogLevel log_level() {
  return state().level;
}

std::optional<LogLevel> parse_log_level(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warn") return LogLevel::kWarn;
  if (name == "error") return LogLevel::kError;
  if (name == "off") return LogLevel::kOff;
  return std::nullopt;
}

void set_log_sink(LogSink sink) {
  LogState& log = state();
  const std::lock_guard<std::mutex> guard(log.mutex);
  log.sink = std::move(sink);
}

}  // namespace moelora
