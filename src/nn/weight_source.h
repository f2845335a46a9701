// Where the decoder's weights come from: files (io::HfModel), or random numbers (nn::RandomWeights).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/nf4.h"

namespace moelora::nn {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual bool contains(const std::string& name) const = 0;

  /// The tensor of that Hugging Face name, of exactly `shape`, as `dtype` (float32 or bfloat16). Where the stored dtype
  /// is already that and the alignment allows, it is a view of the mapped file: never write to it. Throws Error(kModel)
  /// naming file and tensor where it is missing or of another shape.
  virtual at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) = 0;

  /// The same where it is stored in NF4 already: its codes and scales, views where they can be. Nothing where it isn't.
  virtual std::optional<kernels::Nf4Weight> load_nf4(const std::string&, const std::vector<int64_t>&) {
    return std::nullopt;
  }

  /// Says that the tensor won't be read again soon: what it takes in memory beside the file may go.
  virtual void forget(const std::string&) {}
};

}  // namespace moelora::nn
