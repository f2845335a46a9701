// The tasks that an adapter serves, in the order of their indices, and what they share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace moelora::adapters {

struct TaskList {
  std::vector<std::string> names;
  /// [tasks], from 0 without gaps: tasks of one group are one to a gate (config/task_groups.h). Empty: each is its own.
  std::vector<int64_t> groups;
  /// [tasks], from 0 without gaps: which of several sets of weights is a task's (adapters/snapshot_weights.h). Empty:
  /// there is one, which all share.
  std::vector<int64_t> snapshots;

  int64_t size() const { return static_cast<int64_t>(names.size()); }
  int64_t group_count() const { return groups.empty() ? size() : std::ranges::max(groups) + 1; }
  int64_t snapshot_count() const { return snapshots.empty() ? 1 : std::ranges::max(snapshots) + 1; }
};

}  // namespace moelora::adapters
