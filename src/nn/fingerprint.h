// Two models with the same weights and another shape (a rope base, a window) are two models: what a run records beside
// the hash of the weights.
#pragma once

#include <string>

#include "nn/model_config.h"

namespace moelora::nn {

/// XXH3-128, 32 hex digits, of every option that decides a number the decoder computes. Not in it: max_positions and
/// initializer_range, which decide none, and model_type, whose meaning is the other options.
std::string shape_hash(const ModelConfig& config);

}  // namespace moelora::nn
