// One tensor of the model: frozen in the dtype it is computed in, or trainable as a float32 master that is rounded
// where it is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

namespace moelora::nn {

class Weight {
 public:
  Weight(std::string name, at::Tensor value)
      : name_(std::move(name)), stored_(std::move(value)), dtype_(stored_.scalar_type()) {}

  const std::string& name() const { return name_; }  // the Hugging Face tensor name
  /// What is computed with, in the compute dtype; differentiable where trainable.
  at::Tensor get() const { return stored_.scalar_type() == dtype_ ? stored_ : stored_.to(dtype_); }
  /// What is kept: the master where trainable (a leaf that requires a gradient), else the same as get().
  const at::Tensor& stored() const { return stored_; }
  bool trainable() const { return stored_.requires_grad(); }
  /// Turns a frozen weight into a trainable one: a float32 copy of its own.
  void make_trainable();

 private:
  std::string name_;
  at::Tensor stored_;
  at::ScalarType dtype_;
};

using WeightPtr = std::shared_ptr<Weight>;

}  // namespace moelora::nn
