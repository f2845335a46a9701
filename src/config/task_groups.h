// Tasks that are one task to the adapter (`tasks.<task>.group`): one row of the gate, one LoRA of those that train one
// a task, one best step. Rows, prompts, metrics and weights in the loss stay each task's own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/run_config.h"

namespace moelora::config {

struct TaskGroups {
  std::vector<std::string> names;  // [groups], by their first task; a task without a group is one of its own name
  std::vector<int64_t> of_task;    // [tasks], index in `names`

  int64_t count() const { return static_cast<int64_t>(names.size()); }
  /// Indices of a group's tasks.
  std::vector<size_t> members(int64_t group) const;
};

/// Throws Error (kConfig) where a group has the name of a task that isn't in it.
TaskGroups task_groups(const std::vector<std::string>& tasks, const std::map<std::string, TaskConfig>& settings);

}  // namespace moelora::config
