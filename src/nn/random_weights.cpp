#include "nn/random_weights.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "core/random.h"

namespace moelora::nn {

at::Tensor RandomWeights::load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) {
  if (name.ends_with("norm.weight")) return at::full(shape, norm_, dtype);
  if (name.ends_with(".bias")) return at::zeros(shape, dtype);
  at::Tensor weight = at::empty(shape, at::kFloat);
  float* out = weight.data_ptr<float>();
  const int64_t rows = shape.front(), columns = weight.numel() / rows;
  const uint64_t key = name_key(name);
  at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Random random(seed_, RandomStream::kInit, key, static_cast<uint32_t>(row));
      for (int64_t column = 0; column < columns; ++column) {
        out[row * columns + column] = static_cast<float>(deviation_ * random.normal());
      }
    }
  });
  return weight.to(dtype);
}

}  // namespace moelora::nn
