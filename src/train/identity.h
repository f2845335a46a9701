// Which runs are the same run: what a checkpoint is resumed by, and a result of a comparison known by.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "config/run_config.h"

namespace moelora::train {

/// Hashes of all that decides what a run computes.
struct Identity {
  std::string base, shape, tokenizer, special_tokens, chat_template, data, config;

  nlohmann::json to_json() const;
  /// Throws Error (kConfig) naming what differs between `stored` (a checkpoint's) and this run.
  void require_same(const nlohmann::json& stored, const std::string& where) const;
  /// Of something that takes several runs, whose configurations differ: throws Error (kConfig) naming what one of them
  /// found otherwise. A base that either doesn't know yet isn't compared.
  void require_unchanged(const Identity& now, const std::string& where) const;
};

/// Identity::config. Where things lie, how often the run saves and reports, on how many threads it runs, what it
/// computes twice to save memory and how weights lie in it don't make it another; the files' contents are compared by
/// hashes of their own, a start (`adapter.start`) by its adapter's.
std::string config_identity(const config::RunConfig& config);

}  // namespace moelora::train
