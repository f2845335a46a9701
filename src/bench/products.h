// The matrix products of a training step alone: the floor under any implementation that computes them as ATen does.
#pragma once

#include <cstdint>

#include "nn/decoder.h"

namespace moelora::bench {

struct ProductTime {
  double seconds = 0;
  double cpu_seconds = 0;
};

/// Forward and input gradient of every linear of the decoder on `rows` rows, and of its head on `supervised_rows`, by
/// plain at::linear and at::mm with the decoder's own weights: the faster of two sweeps a layer.
ProductTime time_products(nn::Decoder& decoder, int64_t rows, int64_t supervised_rows);

}  // namespace moelora::bench
