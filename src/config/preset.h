// Presets: named sets of defaults. Internal to src/config.
#pragma once

#include "config/run_config.h"

namespace moelora::config {

/// A configuration without model and data whose values are the preset's; kNone: the defaults of run_config.h.
RunConfig preset_config(Preset preset);

}  // namespace moelora::config
