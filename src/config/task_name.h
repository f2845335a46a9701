// What a task, or a group of tasks, may be called: the name becomes a directory's, and a served model's.
#pragma once

#include <string_view>

namespace moelora::config {

/// At most 100 bytes of UTF-8; no white space, control characters, `/`, `\`, `:`; no `.` or `-` first; neither `mean`,
/// which names the mean over the tasks, nor `per_task`, which stands beside it.
bool is_task_name(std::string_view name);

/// The same for messages.
inline constexpr const char* kTaskNameRule =
    "at most 100 bytes; no space, control character, `/`, `\\` or `:`; no `.` or `-` first; neither `mean` nor "
    "`per_task`";

}  // namespace moelora::config
