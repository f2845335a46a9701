// One block of the decoder: x + attention(norm(x)), then x + mlp(norm(x)), each with a norm on its result where the
// family has one; every linear is a slot that an adapter can wrap.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <utility>

#include "nn/attention_state.h"
#include "nn/model_config.h"
#include "nn/projection.h"
#include "nn/rope_table.h"
#include "nn/weight.h"

namespace moelora::nn {

/// What all layers of one forward pass share.
struct LayerInputs {
  Rotation rotation;
  Rotation local_rotation;  // of the layers with a window
  AttentionState* attention = nullptr;
  const RowContext* context = nullptr;  // may be null
  bool recompute_mlp = false;           // in backward, instead of keeping what is between its norm and its output
  at::Tensor wanted_rows;  // [K] int64: the only rows needed after attention (of the last layer); undefined: all
};

/// The residual stream between two layers, its last addition still to be made: the next norm makes it in the same pass.
struct Stream {
  at::Tensor residual;  // [T, hidden_size]
  at::Tensor delta;     // [T, hidden_size], or undefined before the first layer
};

/// {norm(residual + delta), residual + delta}.
std::pair<at::Tensor, at::Tensor> normalise(const ModelConfig& config, const Stream& stream, const Weight& norm);

struct DecoderLayer {
  int64_t index = 0;
  WeightPtr input_norm;             // [hidden_size]
  WeightPtr attention_output_norm;  // [hidden_size] or null
  WeightPtr mlp_norm;               // [hidden_size]
  WeightPtr mlp_output_norm;        // [hidden_size] or null
  WeightPtr q_norm;                 // [head_dim], null without qk_norm
  WeightPtr k_norm;
  std::unique_ptr<Projection> qkv;      // three members, or one that is all of them
  std::unique_ptr<Projection> o;        // one
  std::unique_ptr<Projection> gate_up;  // two members, or one that is both
  std::unique_ptr<Projection> down;     // one

  /// The stream after this layer, of the wanted rows alone where some are named.
  Stream forward(const ModelConfig& config, const Stream& stream, const LayerInputs& inputs) const;

 private:
  /// What the heads gather, before o_proj: [T, heads * head_dim].
  at::Tensor attention(const ModelConfig& config, const at::Tensor& x, const LayerInputs& inputs) const;
  at::Tensor mlp(const ModelConfig& config, const at::Tensor& x, const RowContext* context) const;
};

}  // namespace moelora::nn
