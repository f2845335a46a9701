#include "core/cgroup.h"

#include <fstream>

namespace moelora {

void visit_cgroups(const std::filesystem::path& root, const std::string& controller,
                   const std::function<void(const std::filesystem::path& folder, bool unified)>& visit) {
  std::ifstream membership(root / "proc/self/cgroup");
  std::string line;
  while (std::getline(membership, line)) {  // "ID:CONTROLLERS:PATH"; version 2 has no controllers
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find("," + controller + ",") == std::string::npos) continue;
    const std::filesystem::path mount = root / "sys/fs/cgroup" / (unified ? "" : controller);
    std::filesystem::path cgroup = std::filesystem::path(line.substr(second + 1)).relative_path();
    while (true) {
      visit(mount / cgroup, unified);
      if (cgroup.empty()) break;
      cgroup = cgroup.parent_path();
    }
  }
}

}  // namespace moelora
