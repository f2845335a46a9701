// What each row of a packed batch carries for whoever wraps a projection. nn passes it through and never reads it.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace moelora::nn {

class RowContext {
 public:
  virtual ~RowContext() = default;

  /// Tensors in it that carry a gradient (a shared gate's weights, say). A layer that is recomputed in backward takes
  /// them as explicit inputs, or their gradient would be lost.
  virtual std::vector<at::Tensor> differentiable() const { return {}; }

  /// The same context with those tensors, in that order, replaced.
  virtual std::unique_ptr<RowContext> with(const std::vector<at::Tensor>& replacements) const = 0;

  /// The context of some of the rows, in the order of `rows` [K] int64; differentiable where this one is.
  virtual std::unique_ptr<RowContext> select(const at::Tensor& rows) const = 0;
};

}  // namespace moelora::nn
