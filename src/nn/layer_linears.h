// The linears of one layer: paths and sizes, by the input they share.
#pragma once

#include <string>
#include <vector>

#include "nn/model_config.h"

namespace moelora::nn {

struct LinearShape {
  std::string path;  // "model.layers.0.self_attn.q_proj"
  int64_t out = 0;
  int64_t in = 0;
  bool bias = false;
};

struct LayerLinears {
  std::vector<LinearShape> qkv;      // three, or one that is all of them
  std::vector<LinearShape> o;        // one
  std::vector<LinearShape> gate_up;  // two, or one that is both
  std::vector<LinearShape> down;     // one

  /// All of them, in this order.
  std::vector<LinearShape> all() const;
};

LayerLinears layer_linears(const ModelConfig& config, int64_t layer);

}  // namespace moelora::nn
