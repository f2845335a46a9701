// A frozen linear whose weight is kept in four bits (kernels/nf4.h) and multiplied in the compute dtype: for a
// product of many rows the whole weight is dequantised once, for few rows some weight rows at a time.
#pragma once

#include "kernels/nf4.h"
#include "nn/base_linear.h"

namespace moelora::nn {

class Nf4Linear : public BaseLinear {
 public:
  /// `dtype` is what is computed in; bias [out] of that dtype, or undefined.
  Nf4Linear(kernels::Nf4Weight weight, at::Tensor bias, at::ScalarType dtype)
      : weight_(std::move(weight)), bias_(std::move(bias)), dtype_(dtype) {}

  int64_t in_features() const override { return weight_.in; }
  int64_t out_features() const override { return weight_.out; }
  at::Tensor forward(const at::Tensor& x) const override;
  void accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const override;
  at::Tensor dense_weight() const override { return kernels::dequantize(weight_, dtype_); }
  at::Tensor bias() const override { return bias_; }
  int64_t weight_bytes() const override { return weight_.bytes(); }

 private:
  kernels::Nf4Weight weight_;
  at::Tensor bias_;
  at::ScalarType dtype_;
};

}  // namespace moelora::nn
