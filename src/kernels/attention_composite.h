// Attention out of ATen operators, differentiable by autograd: for devices and dtypes without CPU passes. Internal to
// this folder.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"

namespace moelora::kernels {

/// One sequence: q [n, Hq, D] are its last n of the [len, Hkv, D] positions in k and v. Result [n, Hq, D].
at::Tensor composite_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const AttentionOptions& options);

}  // namespace moelora::kernels
