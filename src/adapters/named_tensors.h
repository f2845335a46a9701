// Parameters by name, and their values out of a file or another set.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <span>
#include <string>
#include <utility>

namespace moelora::adapters {

using NamedTensor = std::pair<std::string, at::Tensor>;

/// Copies the value of each master's name into it: of the same shape, converted to its dtype. Throws Error (kModel),
/// naming `what` and the tensor, where one is missing or of another shape; then nothing has changed. What no master is
/// called is left out.
void copy_by_name(std::span<const NamedTensor> masters, const std::map<std::string, at::Tensor>& values,
                  const std::string& what);

}  // namespace moelora::adapters
