#include "adapters/targets.h"

#include <fnmatch.h>

#include <set>

#include "core/error.h"
#include "core/suggest.h"

namespace moelora::adapters {
namespace {

bool matches(const std::string& target, const std::string& path) {
  if (target == "all-linear") return true;
  if (target.find_first_of("*?[") != std::string::npos) return fnmatch(target.c_str(), path.c_str(), 0) == 0;
  return path == target || path.ends_with("." + target);
}

[[noreturn]] void fail_unmatched(const std::string& target, const std::vector<std::string>& paths) {
  std::set<std::string> names;
  for (const std::string& path : paths) names.insert(path.substr(path.rfind('.') + 1));
  const std::vector<std::string> known(names.begin(), names.end());
  throw Error(ErrorKind::kConfig, {.where = "`adapter.targets`",
                                   .problem = "target matches no linear of the model",
                                   .found = target,
                                   .expected = "all-linear, a pattern, or names among " + list_names(known),
                                   .hint = did_you_mean(target, known)});
}

}  // namespace

std::vector<bool> match_targets(const std::vector<std::string>& targets, const std::vector<std::string>& paths) {
  std::vector<bool> matched(paths.size(), false);
  for (const std::string& target : targets) {
    bool any = false;
    for (size_t i = 0; i < paths.size(); ++i) {
      if (!matches(target, paths[i])) continue;
      matched[i] = any = true;
    }
    if (!any) fail_unmatched(target, paths);
  }
  return matched;
}

}  // namespace moelora::adapters
