// Weights of four bits: NF4 of QLoRA (Dettmers et al., arXiv 2305.14314), as bitsandbytes stores it. Blocks of 64
// numbers, row after row of the weight, share a scale; a number is one of sixteen levels times it. Scales may be
// quantised once more, to eight bits in blocks of 256.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/nf4_levels.h"

namespace moelora::kernels {

struct Nf4Weight {
  int64_t out = 0;
  int64_t in = 0;
  at::Tensor codes;          // [(out * in + 1) / 2] uint8: two numbers, the first in the high four bits
  at::Tensor scales;         // [blocks] float32, or uint8 where they are quantised too
  at::Tensor scale_levels;   // [256] float32, what a code of `scales` stands for; undefined where those are float32
  at::Tensor nested_scales;  // [(blocks + 255) / 256] float32; undefined where `scales` are float32
  float offset = 0;          // added to every scale that was quantised: their mean

  int64_t blocks() const { return (out * in + kNf4Block - 1) / kNf4Block; }
  /// Bytes of all of it.
  int64_t bytes() const;
};

/// The sixteen levels, ascending: [16] float32.
const at::Tensor& nf4_levels();

/// The nearest level of each number, scales quantised too. weight [out, in] float32 or bfloat16 on the CPU, contiguous.
/// Throws Error (kModel), naming `name`, where a number isn't finite.
Nf4Weight quantize_nf4(const at::Tensor& weight, const std::string& name);

/// The weight again, [out, in] in `dtype` (float32 or bfloat16): level times scale in float32, rounded once.
at::Tensor dequantize(const Nf4Weight& weight, at::ScalarType dtype);

/// y = x w^T + bias for few rows (few_rows.h), a few weight rows at a time: the same bits as few_rows_linear with the
/// whole of dequantize().
at::Tensor nf4_few_rows_linear(const at::Tensor& x, const Nf4Weight& weight, const at::Tensor& bias);

}  // namespace moelora::kernels
