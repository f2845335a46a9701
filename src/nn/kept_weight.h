// What a base's weight is once its linear keeps it in some form: what a model merged from a quantised run is made of.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "nn/linear_form.h"

namespace moelora::nn {

/// weight [out, in] in the compute dtype (float32 or bfloat16), contiguous; the result [out, in] float32. Throws Error
/// (kModel), naming `name`, where a weight to be quantised isn't finite.
at::Tensor kept_weight(LinearForm form, const std::string& name, const at::Tensor& weight);

}  // namespace moelora::nn
