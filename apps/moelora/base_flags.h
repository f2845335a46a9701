// The flags that say on which base a run is opened: the same for every verb that opens one.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "train/open_run.h"

namespace moelora::app {

struct BaseFlags {
  std::string base;
  bool other_base = false;
  std::string quantization;  // empty: as in training

  /// The rest of the options is the verb's.
  train::OpenRunOptions options() const;
};

/// --base and --other-base.
void add_base_flags(CLI::App& verb, BaseFlags& flags);
/// --quantization, for verbs that compute with the run.
void add_quantization_flag(CLI::App& verb, BaseFlags& flags);

}  // namespace moelora::app
