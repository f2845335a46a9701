// Which linears get experts: PEFT's target_modules.
#pragma once

#include <string>
#include <vector>

namespace moelora::adapters {

/// For each of `paths` (full module paths, "model.layers.0.self_attn.q_proj") whether `targets` names it. A target is
/// `all-linear`, a module name ("q_proj", "self_attn.q_proj": whole trailing parts of the path) or a pattern over the
/// full path with * ? []. Throws Error (kConfig) on a target that matches nothing, with the nearest name.
std::vector<bool> match_targets(const std::vector<std::string>& targets, const std::vector<std::string>& paths);

}  // namespace moelora::adapters
