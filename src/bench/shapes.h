// Shapes of published models, for measuring without their weights.
#pragma once

#include <string>
#include <vector>

#include "nn/model_config.h"

namespace moelora::bench {

/// The names of the shapes, sorted.
std::vector<std::string> shape_names();

/// Throws Error (kUsage) for an unknown name, with the nearest.
nn::ModelConfig shape(const std::string& name);

}  // namespace moelora::bench
