// Parameters by name, and their values out of a file or another set.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <span>
#include <string>
#include <utility>

namespace moelora::adapters {

using NamedTensor = std::pair<std::string, at::Tensor>;

// Names of the parameters that all linears share, as adapter files have them. Where each linear has a gate of its own,
// the linear's path stands before: "<path>.gate".
inline constexpr char kTaskEmbedding[] = "task_embedding";  // [groups of tasks, d_t]
inline constexpr char kGate[] = "gate";                     // [experts, d_t]; a token gate's [experts, in]
inline constexpr char kExpertWeights[] = "expert_weights";  // [tasks, experts]

/// Copies the value of each master's name into it: of the same shape, converted to its dtype. Throws Error (kModel),
/// naming `what` and the tensor, where one is missing or of another shape; then nothing has changed. What no master is
/// called is left out.
void copy_by_name(std::span<const NamedTensor> masters, const std::map<std::string, at::Tensor>& values,
                  const std::string& what);

}  // namespace moelora::adapters
