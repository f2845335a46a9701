// The hot path: a group of linears and their stacked experts, in training as one autograd node.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "adapters/adapted_projection.h"

namespace moelora::adapters {

/// Differentiable in x, the stack A [n R, in], the weights m [T, n R] and each B_i [out_i, R]. With z = D(x) A^T, s the
/// scale:
///
///   forward   y_i = W_i x + b_i + (s z ⊙ m)_i B_i^T
///   backward  du_i = dy_i B_i                       u = s z ⊙ m
///             dB_i = dy_i^T u_i,   dm = s du ⊙ z    (a reduction over out happens only inside these products)
///             dz   = s du ⊙ m,     dA = dz^T D(x)
///             dx   = sum_i dy_i W_i + D(dz A)
///
/// Saves x, z and m. No weights: all are 1.
struct AdaptedGroup : torch::autograd::Function<AdaptedGroup> {
  struct Outputs {
    torch::autograd::variable_list y;
    at::Tensor z;
  };

  /// The forward pass alone, z where it is wanted or made anyway: what is called where no gradient is wanted, and where
  /// weights may be those [T, R] of one member that all have.
  static Outputs compute(const at::Tensor& x, const std::optional<at::Tensor>& weights,
                         const AdaptedProjection& projection, const TaskRows& rows, bool wants_z);

  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                                                const at::Tensor& stack, const std::optional<at::Tensor>& weights,
                                                at::TensorList b, const AdaptedProjection* projection,
                                                const TaskRows* rows);

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& dy);
};

}  // namespace moelora::adapters
