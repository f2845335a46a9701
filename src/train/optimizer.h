// AdamW (Loshchilov and Hutter, 2019) over float32 masters, fused into one pass a tensor by ATen.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapters/named_tensors.h"

namespace moelora::train {

using adapters::NamedTensor;

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
};

class AdamW {
 public:
  /// `parameters`: float32 leaves by name, updated in place. A leaf without a gradient in a step is left alone in it.
  AdamW(std::vector<NamedTensor> parameters, AdamWOptions options);

  /// Euclidean norm of all gradients together: each tensor's in float32, their squares summed in float64 in the
  /// parameters' order.
  double gradient_norm() const;

  /// Names of the parameters whose gradient holds a value that isn't finite.
  std::vector<std::string> non_finite_gradients() const;

  /// Multiplies every gradient, as clipping does.
  void scale_gradients(double factor);

  /// One update with that learning rate.
  void step(double learning_rate);

  /// Forgets the gradients but keeps their memory.
  void zero_gradients();

  int64_t steps_taken() const { return steps_; }

  /// "exp_avg.<name>", "exp_avg_sq.<name>": float32, of the parameters' shapes. What a checkpoint keeps.
  std::vector<NamedTensor> state() const;
  /// Takes such a state back (by name; extra names are ignored). Throws Error (kModel) naming what is missing or
  /// misshapen.
  void load_state(std::span<const NamedTensor> state, int64_t steps_taken);

 private:
  std::vector<NamedTensor> parameters_;
  AdamWOptions options_;
  std::vector<at::Tensor> exp_avg_;
  std::vector<at::Tensor> exp_avg_sq_;
  int64_t steps_ = 0;
};

}  // namespace moelora::train
