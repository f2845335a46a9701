// Which configurations are the same run.
#pragma once

#include <string>

#include "config/run_config.h"

namespace moelora::train {

/// A hash of everything that decides what a run computes. Where things lie, how often the run saves, on how many
/// threads it runs, what it computes twice to save memory and how weights lie in it don't make it another; the files'
/// contents are compared by hashes of their own, a start (`adapter.start`) by its adapter's.
std::string config_identity(const config::RunConfig& config);

}  // namespace moelora::train
