// Messages for a person, on stderr, one line each. Row text must never be passed here (docs: rows may hold patients'
// data). The level comes from MOELORA_LOG (debug, info, warn, error, off) and is overridden by --quiet and --verbose.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

namespace moelora {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warn(std::string_view message);
void log_error(std::string_view message);

void set_log_level(LogLevel level);
LogLevel log_level();
/// The level a name stands for ("warn"), or nothing for an unknown name.
std::optional<LogLevel> parse_log_level(std::string_view name);

/// Where finished lines go instead of stderr (a progress bar that must redraw itself, a test); an empty function
/// restores stderr. `line` ends without a newline. Called under a lock: it must not log.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;
void set_log_sink(LogSink sink);

}  // namespace moelora
