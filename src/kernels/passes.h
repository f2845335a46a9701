// The table of CPU passes that each instruction-set level fills in: plain pointers and sizes, no tensors. The files
// behind it are compiled once per level with that level's flags, so they include no header whose inline functions could
// leak out of them.
#pragma once

#include <cstdint>

namespace moelora::kernels {

/// Storage of a bfloat16, bit for bit at::BFloat16.
struct Bf16 {
  uint16_t bits;
};

/// The type a pass computes in.
template <class E>
struct ComputeOf {
  using type = E;
};
template <>
struct ComputeOf<Bf16> {
  using type = float;
};
template <class E>
using Compute = typename ComputeOf<E>::type;

/// Rows of one head of one tensor: element (row, column) is data[row * row_stride + column].
template <class E>
struct HeadRows {
  const E* data;
  int64_t row_stride;
};

/// x w^T with x [rows, in] and w [outs, in], rows strided.
template <class E>
struct FewRowsTerm {
  const E* x = nullptr;
  int64_t x_stride = 0;
  const E* w = nullptr;
  int64_t w_stride = 0;
  int64_t in = 0;
};

/// Rows of the query heads that share one key/value head, stacked: row r is head r % group of position r / group. group
/// 1: one head.
template <class E>
struct QueryRows {
  E* data;
  int64_t position_stride;
  int64_t head_stride;
  int64_t group;

  E* row(int64_t r) const { return data + r / group * position_stride + r % group * head_stride; }
};

/// What is the same for all heads of one attention call.
struct AttentionShape {
  int64_t head_size;
  double scale;
  double softcap;  // 0: none
  int64_t window;  // 0: none
};

struct DropoutRow {
  uint32_t key[2];
  uint32_t threshold;  // dropped where the draw is below it
  float scale;         // 1 / (1 - p)
};

/// Passes over elements of type E. "rows" is a count; matrices are contiguous rows unless a stride is given.
template <class E>
struct Passes {
  using C = Compute<E>;

  /// sum = x + residual where residual is given (sum then too), else x alone; y = normalised * weight; rstd [rows]
  /// where given. unit_offset: y = normalised * (1 + weight), rounded once.
  void (*rms_norm_forward)(const E* x, const E* residual, const E* weight, E* sum, E* y, C* rstd, int64_t rows,
                           int64_t width, double eps, bool unit_offset);
  /// dx of the normalised input x, plus dsum where given; dweight [width] is added to where given. With dy null: dx =
  /// dsum.
  void (*rms_norm_backward)(const E* dy, const E* dsum, const E* x, const E* weight, const C* rstd, E* dx, C* dweight,
                            int64_t rows, int64_t width, bool unit_offset);

  /// sign +1 rotates, -1 rotates back. cos, sin [rows, half]; out contiguous [rows, heads, size]. pairs: dimension 2 d
  /// turns with 2 d + 1, else d with d + half.
  void (*rope)(const E* x, int64_t row_stride, int64_t head_stride, const C* cos, const C* sin, E* out, int64_t rows,
               int64_t heads, int64_t size, int64_t half, int sign, bool pairs);

  /// gelu: GeGLU, else SwiGLU.
  void (*glu_forward)(const E* gate, int64_t gate_stride, const E* up, int64_t up_stride, E* y, int64_t rows,
                      int64_t width, bool gelu);
  void (*glu_backward)(const E* dy, const E* gate, int64_t gate_stride, const E* up, int64_t up_stride, E* dgate,
                       E* dup, int64_t rows, int64_t width, bool gelu);

  void (*row_scale_forward)(const E* z, const C* m, C factor, E* y, int64_t count);
  void (*row_scale_backward)(const E* dy, const E* z, const C* m, E* dz, C* dm, int64_t count);

  /// y = D(x) and, where dy is given, dx += D(dy). sample_key and position [rows].
  void (*dropout)(const E* x, const int64_t* sample_key, const int64_t* position, const DropoutRow& draw, E* y,
                  const E* dy, E* dx, int64_t rows, int64_t width);

  /// One row of logits [classes]: returns its negative log-likelihood and, where `gradient`, overwrites the logits with
  /// weight * d nll / d logit.
  C (*cross_entropy_row)(E* logits, int64_t classes, int64_t target, C weight, double softcap, bool gradient);

  /// Sizes, in bytes, of one (sequence, key/value head)'s packed keys and values for attention_forward.
  int64_t (*attention_packed_bytes)(int64_t keys, int64_t head_size);
  void (*attention_pack)(HeadRows<E> k, HeadRows<E> v, int64_t keys, int64_t head_size, void* packed);
  /// Rows [begin, end) of q, the first position of q being `offset` in the sequence. lse.data may be null.
  void (*attention_forward)(const AttentionShape& shape, QueryRows<const E> q, QueryRows<E> out, QueryRows<C> lse,
                            int64_t begin, int64_t end, int64_t offset, int64_t keys, const void* packed,
                            void* scratch);
  int64_t (*attention_forward_scratch_bytes)(int64_t head_size);

  /// One query head's share of the backward of one sequence of n positions: dq is written, dk and dv (C, contiguous
  /// [n, attention_padded_size]) are added to.
  void (*attention_backward)(const AttentionShape& shape, HeadRows<E> q, HeadRows<E> k, HeadRows<E> v, HeadRows<E> out,
                             HeadRows<E> dout, const C* lse, int64_t lse_stride, int64_t n, E* dq, int64_t dq_stride,
                             C* dk, C* dv, void* scratch);
  int64_t (*attention_backward_scratch_bytes)(int64_t n, int64_t head_size);
  /// The row length of dk and dv, and how many rows their buffers need for n positions.
  int64_t (*attention_padded_size)(int64_t head_size);
  int64_t (*attention_padded_rows)(int64_t n);

  /// y [rows, outs] = product + added (nothing where its `in` is 0) + bias (may be null), rounded once; rows <= 8.
  void (*few_rows)(const FewRowsTerm<E>& product, const FewRowsTerm<E>& added, int64_t rows, const E* bias, E* y,
                   int64_t y_stride, int64_t outs);
  /// y [rows, outs] += x w; rows <= 8, w [in, outs].
  void (*few_rows_add)(const E* x, int64_t x_stride, int64_t rows, const E* w, int64_t w_stride, int64_t in, E* y,
                       int64_t y_stride, int64_t outs);

  /// `count` numbers of codes (nf4.h) from the beginning of a block on; scales, one a block.
  void (*nf4_dequantize)(const uint8_t* codes, const float* scales, E* out, int64_t count);

  /// y[i] = E(x[i]) for a block of rows, x with its own stride.
  void (*narrow)(const C* x, int64_t x_stride, E* y, int64_t y_stride, int64_t rows, int64_t width);
};

/// Passes around products of int8 (int8.h).
template <class E>
struct Int8Passes {
  /// Each row of x, times column_scales where given, as whole numbers q [rows, width] times scales [rows].
  void (*quantize_rows)(const E* x, int64_t x_stride, const float* column_scales, int8_t* q, float* scales,
                        int64_t rows, int64_t width);
  /// y = sums [rows, width] * row_scales * column_scales (1 where null) + bias (0 where null), or y += that.
  void (*scale_sums)(const int32_t* sums, const float* row_scales, const float* column_scales, const E* bias, E* y,
                     int64_t y_stride, int64_t rows, int64_t width, bool add);
};

constexpr int64_t kMostFactors = 64;

/// One pass over columns [begin, end) of x [rows, ...] for two products with thin matrices (thin_products.h).
struct ThinProducts {
  const Bf16* x;
  int64_t x_stride, rows;
  int64_t begin = 0, end = 0;         // even
  int64_t factors;                    // <= kMostFactors
  int64_t stride;                     // factors rounded up to 16: of projected's and the pairs' rows
  const uint32_t* w_pairs = nullptr;  // [columns / 2, stride] or null: two columns' factors in 32 bits
  float* projected = nullptr;         // [rows, stride], added to
  const uint32_t* u_pairs = nullptr;  // [rows / 2, stride] or null: two rows' factors in 32 bits
  float* gradient = nullptr;          // written: of column c and factor f at c * column_stride + f * factor_stride
  int64_t column_stride = 0, factor_stride = 0;
};

struct PassSet {
  Passes<float> f32;
  Passes<Bf16> bf16;
  Passes<double> f64;
  Int8Passes<float> int8_f32;
  Int8Passes<Bf16> int8_bf16;
  /// sums [rows, outs] = x w^T; rows <= 8, x [rows, in], w [outs, in], w_sums [outs] the sums of w's rows.
  void (*int8_few_rows)(const int8_t* x, int64_t rows, const int8_t* w, const int32_t* w_sums, int64_t in,
                        int32_t* sums, int64_t sums_stride, int64_t outs);
  /// Null at levels without products of bf16 pairs.
  void (*thin_products)(const ThinProducts& products);
};

extern const PassSet kPassesDefault;
#if defined(__x86_64__)
extern const PassSet kPassesAvx2;
extern const PassSet kPassesAvx512;
extern const PassSet kPassesAvx512Bf16;
#endif

/// The set of the level in use (cpu.h).
const PassSet& passes();

template <class E>
const Passes<E>& passes_for();
template <>
inline const Passes<float>& passes_for<float>() {
  return passes().f32;
}
template <>
inline const Passes<Bf16>& passes_for<Bf16>() {
  return passes().bf16;
}
template <>
inline const Passes<double>& passes_for<double>() {
  return passes().f64;
}

template <class E>
const Int8Passes<E>& int8_passes_for();
template <>
inline const Int8Passes<float>& int8_passes_for<float>() {
  return passes().int8_f32;
}
template <>
inline const Int8Passes<Bf16>& int8_passes_for<Bf16>() {
  return passes().int8_bf16;
}

}  // namespace moelora::kernels
