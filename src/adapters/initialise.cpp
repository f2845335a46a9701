#include "adapters/initialise.h"

#include <ATen/ops/empty.h>

#include "core/random.h"

namespace moelora::adapters {
namespace {

template <typename Draw>
at::Tensor parameter(const std::string& name, const std::vector<int64_t>& shape, uint64_t seed, Draw draw) {
  at::Tensor value = at::empty(shape, at::kFloat);
  float* out = value.data_ptr<float>();
  for (int64_t row = 0; row < shape[0]; ++row) {
    Random random(seed, RandomStream::kInit, name_key(name), static_cast<uint32_t>(row));
    for (int64_t column = 0; column < shape[1]; ++column) *out++ = static_cast<float>(draw(random));
  }
  return value.requires_grad_(true);
}

}  // namespace

at::Tensor normal_parameter(const std::string& name, const std::vector<int64_t>& shape, double deviation,
                            uint64_t seed) {
  return parameter(name, shape, seed, [=](Random& random) { return deviation * random.normal(); });
}

at::Tensor uniform_parameter(const std::string& name, const std::vector<int64_t>& shape, double bound, uint64_t seed) {
  return parameter(name, shape, seed, [=](Random& random) { return bound * (2 * random.uniform() - 1); });
}

}  // namespace moelora::adapters
