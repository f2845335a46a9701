// How a base model's linear is stored and multiplied: one axis of variety, apart from who adapts it (nn/projection.h).
// Plain f32/bf16 weights here; packed_linear.h has them in an order that suits products as well; int8_linear.h and
// nf4_linear.h are the forms of fewer bits, and nothing else changes for them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/weight.h"

namespace moelora::nn {

class BaseLinear {
 public:
  virtual ~BaseLinear() = default;

  virtual int64_t in_features() const = 0;
  virtual int64_t out_features() const = 0;

  /// y = x W^T + b. x [T, in], result [T, out], both of the compute dtype. No autograd.
  virtual at::Tensor forward(const at::Tensor& x) const = 0;

  /// dx += dy W, or a new dy W where dx is undefined. dy [T, out], dx [T, in]. No autograd.
  virtual void accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const = 0;

  /// The weight [out, in] in the compute dtype, dequantised where need be: for merging and export.
  virtual at::Tensor dense_weight() const = 0;

  /// The weight [out, in] in the compute dtype where few rows are multiplied with it as it lies (kernels/few_rows.h);
  /// undefined for a form that has products of its own for them.
  virtual at::Tensor streamed_weight() const { return {}; }

  /// The bias [out], or undefined.
  virtual at::Tensor bias() const = 0;

  /// What a product reads of the weight: what it takes in memory, but for copies in another order.
  virtual int64_t weight_bytes() const = 0;

  /// Weights that training changes; empty for a frozen base.
  virtual std::vector<WeightPtr> trainable_weights() const { return {}; }
};

/// dx += dy W, or a new dy W where dx is undefined: dy [T, out], weight [out, in], dx [T, in], of one dtype.
void accumulate_product(const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx);

/// The weight as the model's files have it, possibly trainable.
class PlainLinear : public BaseLinear {
 public:
  /// weight [out, in]; bias [out] or null.
  PlainLinear(WeightPtr weight, WeightPtr bias) : weight_(std::move(weight)), bias_(std::move(bias)) {}

  int64_t in_features() const override { return weight_->stored().size(1); }
  int64_t out_features() const override { return weight_->stored().size(0); }
  at::Tensor forward(const at::Tensor& x) const override;
  void accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const override;
  at::Tensor dense_weight() const override { return weight_->get(); }
  at::Tensor streamed_weight() const override { return weight_->get(); }
  at::Tensor bias() const override { return bias_ ? bias_->get() : at::Tensor(); }
  int64_t weight_bytes() const override { return static_cast<int64_t>(weight_->stored().nbytes()); }
  std::vector<WeightPtr> trainable_weights() const override;

 private:
  WeightPtr weight_;
  WeightPtr bias_;
};

}  // namespace moelora::nn
