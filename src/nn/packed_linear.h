// A frozen plain linear that also keeps its weight in the order in which the processor's products read it (oneDNN's
// blocked layout), once for each direction: forward and input gradient then start at once, where a plain weight is
// reordered in every product. A further copy of the weight for each. A row's result doesn't depend on the others.
#pragma once

#include <memory>

#include "nn/base_linear.h"

namespace moelora::nn {

class PackedLinear : public BaseLinear {
 public:
  /// Whether weights of that dtype can be packed here: float32, and bfloat16 where the processor multiplies it.
  static bool takes(at::ScalarType dtype);

  enum class Directions { kBoth, kForward };

  /// `plain` is frozen, of a dtype that takes() holds for. A direction that isn't packed is computed as `plain` does.
  PackedLinear(std::unique_ptr<const PlainLinear> plain, Directions directions);

  int64_t in_features() const override { return plain_->in_features(); }
  int64_t out_features() const override { return plain_->out_features(); }
  at::Tensor forward(const at::Tensor& x) const override;
  void accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const override;
  at::Tensor dense_weight() const override { return plain_->dense_weight(); }
  at::Tensor streamed_weight() const override { return plain_->dense_weight(); }
  at::Tensor bias() const override { return plain_->bias(); }
  /// What one product reads: one of the copies.
  int64_t weight_bytes() const override { return plain_->weight_bytes(); }

 private:
  std::unique_ptr<const PlainLinear> plain_;
  at::Tensor forward_;   // W as oneDNN's product of x takes it: opaque
  at::Tensor backward_;  // W^T likewise, for dy; undefined where it isn't packed
};

}  // namespace moelora::nn
