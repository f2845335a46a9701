#include "train/identity.h"

#include "config/load.h"
#include "core/error.h"
#include "core/hash.h"
#include "train/machine.h"
#include "train/start_from.h"

namespace moelora::train {

nlohmann::json Identity::to_json() const {
  return {{"base", base},
          {"shape", shape},
          {"tokenizer", tokenizer},
          {"special tokens", special_tokens},
          {"template", chat_template},
          {"data", data},
          {"config", config}};
}

void Identity::require_same(const nlohmann::json& stored, const std::string& where) const {
  const nlohmann::json own = to_json();
  for (const auto& [key, value] : own.items()) {
    if (stored.value(key, "") == value) continue;
    throw Error(ErrorKind::kConfig,
                {.where = where,
                 .problem = "the run can't be resumed: its " + key + " has changed since the checkpoint",
                 .found = value.get<std::string>(),
                 .expected = stored.value(key, "nothing"),
                 .hint = "resume with what it was started with, or start a new run"});
  }
}

void Identity::require_unchanged(const Identity& now, const std::string& where) const {
  const nlohmann::json before = to_json(), after = now.to_json();
  for (const auto& [part, hash] : before.items()) {
    const bool is_unknown = part == "base" && (base.empty() || now.base.empty());
    if (part == "config" || is_unknown || after[part] == hash) continue;
    throw Error(ErrorKind::kConfig, {.where = where,
                                     .problem = "its " + part + " has changed since it began",
                                     .found = after[part].get<std::string>(),
                                     .expected = hash.get<std::string>(),
                                     .hint = "begin again: what was done before stays as it is"});
  }
}

std::string config_identity(const config::RunConfig& config) {
  config::RunConfig identifying = resolved(config);
  identifying.preset = {};  // its values are written out
  identifying.model.clear();
  identifying.output.clear();
  for (config::DataSource& source : identifying.data.sources) source.path.clear();
  identifying.train.threads = {};
  identifying.train.recompute = {};  // their last bits are compared apart (train/machine.h)
  identifying.train.weight_layout = {};
  identifying.checkpoint = {};
  identifying.train.log_every = {};
  identifying.train.conflict_every = {};
  if (!config.adapter.start.empty()) identifying.adapter.start = start_hash(config.adapter.start);
  return hash_hex(config::to_yaml(identifying));
}

}  // namespace moelora::train
