// Products with a weight of 8-bit integers: int8 rows with a float32 scale each on both sides, sums exact in int32. The
// weight's rows are its output channels; activations are quantised row by row as they come, so that what a row gets
// doesn't depend on the rows beside it.
#pragma once

#include <ATen/core/Tensor.h>

namespace moelora::kernels {

/// Rows as whole numbers from -127 to 127 times a scale.
struct Int8Rows {
  at::Tensor values;  // [rows, width] int8
  at::Tensor scales;  // [rows] float32
  at::Tensor sums;    // [rows] int32, of a weight's values: what unsigned products need
};

/// Each row by its largest magnitude, rounded to nearest even: off by at most half a step (scale / 2). x [rows, width]
/// of float32 or bfloat16 on the CPU, its rows dense. Where `column_scales` [width] float32 is given, x times these is
/// quantised instead. A row of zeros gets scale 0; one with NaN or infinity gets scale NaN, which every product shows.
Int8Rows quantize_rows(const at::Tensor& x, const at::Tensor& column_scales = {});

/// A weight [out, in], with its sums.
Int8Rows quantize_weight(const at::Tensor& weight);

/// The values again, [rows, width] in `dtype`.
at::Tensor dequantize(const Int8Rows& rows, at::ScalarType dtype);

/// y = x w^T + bias. x [T, in] float32 or bfloat16; w a quantize_weight(); bias [out] of x's dtype, or undefined; y [T,
/// out] of x's dtype. No autograd.
at::Tensor int8_linear(const at::Tensor& x, const Int8Rows& w, const at::Tensor& bias);

/// dx += dy w, or a new dy w where dx is undefined. dy [T, out], dx [T, in], of one dtype, rows dense: dy is
/// quantised row by row times w's scales, so that w's own form serves both ways. No autograd.
void int8_accumulate_input_gradient(const at::Tensor& dy, const Int8Rows& w, at::Tensor& dx);

}  // namespace moelora::kernels
