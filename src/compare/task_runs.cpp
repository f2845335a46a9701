#include "compare/task_runs.h"

#include "config/method.h"
#include "core/hash.h"
#include "train/made_of_runs.h"

namespace moelora::compare {

namespace fs = std::filesystem;

std::string tasks_key(const Cell& cell) {
  nlohmann::json identity = cell.identity;
  identity["config"] = train::task_runs_identity(cell.config);
  identity.erase("test_rows");
  return hash_hex(identity.dump());
}

void share_task_runs(const Cell& cell, const fs::path& output) {
  if (!config::is_made_of_runs(cell.config.adapter.method)) return;
  const fs::path shared = output / "tasks" / tasks_key(cell);
  const fs::path link = fs::path(cell.config.output) / "tasks";
  fs::create_directories(shared);
  fs::create_directories(link.parent_path());
  const fs::path target = fs::relative(fs::absolute(shared), fs::absolute(link.parent_path()));
  const fs::file_status status = fs::symlink_status(link);
  if (fs::is_symlink(status) && fs::read_symlink(link) != target) {
    fs::remove(link);
  } else if (fs::exists(status)) {
    return;
  }
  fs::create_directory_symlink(target, link);
}

}  // namespace moelora::compare
