// The control groups that bound this process. Internal to src/core.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace moelora {

/// Calls visit(folder, unified) for the folder of `controller` ("cpu", "memory") that this process is in and for each
/// of its ancestors; `unified` is whether it is of cgroup version 2. `root` is where proc/ and sys/ are.
void visit_cgroups(const std::filesystem::path& root, const std::string& controller,
                   const std::function<void(const std::filesystem::path& folder, bool unified)>& visit);

}  // namespace moelora
