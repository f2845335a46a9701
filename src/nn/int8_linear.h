// A frozen linear whose weight is kept in 8 bits: each output channel by its largest magnitude. Products are of int8 on
// both sides; activations, and in backward gradients times the channels' scales, are quantised row by row.
#pragma once

#include "kernels/int8.h"
#include "nn/base_linear.h"

namespace moelora::nn {

class Int8Linear : public BaseLinear {
 public:
  /// weight [out, in] and bias [out] (or undefined) in the compute dtype, float32 or bfloat16; the weight isn't kept.
  /// Throws Error (kModel), naming `name`, where a weight isn't finite.
  Int8Linear(const std::string& name, const at::Tensor& weight, at::Tensor bias);

  int64_t in_features() const override { return weight_.values.size(1); }
  int64_t out_features() const override { return weight_.values.size(0); }
  at::Tensor forward(const at::Tensor& x) const override;
  void accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const override;
  at::Tensor dense_weight() const override { return kernels::dequantize(weight_, dtype_); }
  /// The weight [out, in] in float32: what products are of, but for the activations' rounding.
  at::Tensor float_weight() const { return kernels::dequantize(weight_, at::kFloat); }
  at::Tensor bias() const override { return bias_; }
  int64_t weight_bytes() const override;

 private:
  kernels::Int8Rows weight_;
  at::Tensor bias_;
  at::ScalarType dtype_;
};

}  // namespace moelora::nn
