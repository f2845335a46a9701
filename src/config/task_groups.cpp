#include "config/task_groups.h"

#include <algorithm>

#include "core/error.h"

namespace moelora::config {

std::vector<size_t> TaskGroups::members(int64_t group) const {
  std::vector<size_t> tasks;
  for (size_t t = 0; t < of_task.size(); ++t) {
    if (of_task[t] == group) tasks.push_back(t);
  }
  return tasks;
}

TaskGroups task_groups(const std::vector<std::string>& tasks, const std::map<std::string, TaskConfig>& settings) {
  const auto group_of = [&](const std::string& task) {
    const auto own = settings.find(task);
    return own != settings.end() && own->second.group ? *own->second.group : task;
  };
  TaskGroups groups;
  for (const std::string& task : tasks) {
    const std::string group = group_of(task);
    const bool is_task = group != task && std::ranges::find(tasks, group) != tasks.end();
    if (is_task && !(settings.contains(group) && settings.at(group).group == group)) {
      throw Error(ErrorKind::kConfig, {.where = "tasks." + task + ".group",
                                       .problem = "the group has the name of a task that isn't in it",
                                       .found = group,
                                       .expected = "another name, or `group: " + group + "` for that task too"});
    }
    const auto known = std::ranges::find(groups.names, group);
    groups.of_task.push_back(known - groups.names.begin());
    if (known == groups.names.end()) groups.names.push_back(group);
  }
  return groups;
}

}  // namespace moelora::config
