// One block of the decoder: x + attention(norm(x)), then x + mlp(norm(x)); every linear is a slot that an adapter can wrap.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <utility>

#include "nn/attention_state.h"
#include "nn/model_config.h"
#include "nn/projection.h"
#include "nn/weight.h"

namespace moelora::nn {

/// What all layers of one forward pass share.
struct LayerInputs {
  at::Tensor cos;               // [T, head_dim / 2] float32
  at::Tensor sin;               // [T, head_dim / 2] float32
  AttentionState* attention = nullptr;
  const RowContext* context = nullptr;  // may be null
  at::Tensor wanted_rows;  // [K] int64: the only rows needed after attention (of the last layer); undefined: all
};

/// The residual stream between two layers, its last addition still to be made: the next norm makes it in the same pass.
struct Stream {
  at::Tensor residual;  // [T, hidden_size]
  at::Tensor delta;     // [T, hidden_size], or undefined before the first layer
};

/// {norm(residual + delta), residual + delta}.
std::pair<at::Tensor, at::Tensor> normalise(const Stream& stream, const Weight& norm, double epsilon);

struct DecoderLayer {
  int64_t index = 0;
  WeightPtr input_norm;           // [hidden_size]
  WeightPtr post_attention_norm;  // [hidden_size]
  WeightPtr q_norm;               // [head_dim], null without qk_norm
  WeightPtr k_norm;
  std::unique_ptr<Projection> qkv;      // q_proj, k_proj, v_proj
  std::unique_ptr<Projection> o;        // o_proj
  std::unique_ptr<Projection> gate_up;  // gate_proj, up_proj
  std::unique_ptr<Projection> down;     // down_proj

  /// The stream after this layer, of the wanted rows alone where some are named.
  Stream forward(const ModelConfig& config, const Stream& stream, const LayerInputs& inputs) const;

 private:
  /// What the heads gather, before o_proj: [T, heads * head_dim].
  at::Tensor attention(const ModelConfig& config, const at::Tensor& x, const LayerInputs& inputs) const;
  at::Tensor mlp(const at::Tensor& x, const RowContext* context) const;
};

}  // namespace moelora::nn
