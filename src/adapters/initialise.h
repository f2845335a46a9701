// How adapter parameters start: every value a pure function of (seed, parameter's name, row, column).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace moelora::adapters {

/// A float32 leaf [rows, columns] that requires a gradient, ~ N(0, deviation²).
at::Tensor normal_parameter(const std::string& name, const std::vector<int64_t>& shape, double deviation,
                            uint64_t seed);

/// A float32 leaf [rows, columns] that requires a gradient, ~ U(-bound, bound).
at::Tensor uniform_parameter(const std::string& name, const std::vector<int64_t>& shape, double bound, uint64_t seed);

}  // namespace moelora::adapters
