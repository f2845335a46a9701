#include "nn/absent_weights.h"

#include <ATen/ops/zeros.h>

namespace moelora::nn {

at::Tensor AbsentWeights::load(const std::string&, const std::vector<int64_t>& shape, at::ScalarType dtype) {
  return at::zeros({1}, dtype).expand(shape);
}

}  // namespace moelora::nn
