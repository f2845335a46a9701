// The passes of few_rows.h: each weight is read once and multiplied with every row of x.
#pragma once

#include <type_traits>

#include "kernels/simd.h"

namespace moelora::kernels {
namespace {

/// How a stretch of kStep products is added to a vector of sums: by the instruction for pairs of bf16 where there is
/// one.
template <class E>
struct Products {
  using C = Compute<E>;
  using Operand = Vec<C>;
  static constexpr int64_t kStep = kLanes<C>;
  static MOELORA_INLINE Operand load_operand(const E* p) { return load(p); }
  static MOELORA_INLINE Vec<C> add(Vec<C> sum, Operand a, Operand b) { return sum + a * b; }
};
#if defined(__AVX512BF16__)
template <>
struct Products<Bf16> {
  using Operand = __m512bh;
  static constexpr int64_t kStep = 32;
  static MOELORA_INLINE Operand load_operand(const Bf16* p) { return bits_as<__m512bh>(_mm512_loadu_si512(p)); }
  static MOELORA_INLINE Vec<float> add(Vec<float> sum, Operand a, Operand b) { return _mm512_dpbf16_ps(sum, a, b); }
};
#endif

/// The next stretch at p, zeros past its end: 0 < left < kStep.
template <class E>
MOELORA_INLINE typename Products<E>::Operand tail_operand(const E* p, int64_t left) {
#if defined(__AVX512BF16__)
  if constexpr (std::is_same_v<E, Bf16>) {
    return bits_as<__m512bh>(_mm512_maskz_loadu_epi16(static_cast<__mmask32>((1u << left) - 1), p));
  }
#endif
  E buffer[Products<E>::kStep] = {};
  std::memcpy(buffer, p, static_cast<size_t>(left) * sizeof(E));
  return Products<E>::load_operand(buffer);
}

/// To nearest even, NaN stays NaN: a vector's store would be waited for.
template <class E>
MOELORA_INLINE E rounded(Compute<E> x) {
  if constexpr (std::is_same_v<E, Bf16>) {
    const uint32_t u = bits_as<uint32_t>(x);
    return {static_cast<uint16_t>(x == x ? (u + 0x7fffu + ((u >> 16) & 1u)) >> 16 : 0x7fc0u)};
  } else {
    return x;
  }
}

/// Asks for weights before they are wanted, in the order of memory. Rows read side by side, each too short for the
/// processor to see where it goes, would come at half of the memory's rate or less.
class ReadAhead {
 public:
  /// Of a term's weights, from the first on.
  template <class E>
  ReadAhead(const FewRowsTerm<E>& term, int64_t outs) : next_(address(term, 0)), end_(address(term, outs)) {}

  /// Asks at once for all that isn't yet, up to `more` bytes beyond the first `rows` rows.
  template <class E>
  MOELORA_INLINE void reach(const FewRowsTerm<E>& term, int64_t rows, int64_t more) {
    const uintptr_t to = address(term, rows) + static_cast<uintptr_t>(more);
    for (; next_ < to && next_ < end_; next_ += kLine) request(next_);
  }

  /// Asks for kCount pieces more.
  template <int kCount, int64_t kBytes>
  MOELORA_INLINE void advance() {
    if (next_ >= end_) return;
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) request(next_ + i * kBytes);
    next_ += kCount * kBytes;
  }

 private:
  static constexpr uintptr_t kLine = 64;
  template <class E>
  static MOELORA_INLINE uintptr_t address(const FewRowsTerm<E>& term,
                                          int64_t row) {  // not of a pointer: it may end before
    return reinterpret_cast<uintptr_t>(term.w) + static_cast<uintptr_t>(row * term.w_stride) * sizeof(E);
  }
  static MOELORA_INLINE void request(uintptr_t p) {
    __builtin_prefetch(reinterpret_cast<const void*>(p), /*rw=*/0, /*locality=*/2);  // into L2
  }

  uintptr_t next_;
  uintptr_t end_;
};

/// sums[o][r] += the product of weight row o and row r of a term.
template <class E, int kRows, int kOuts>
MOELORA_INLINE void add_products(const FewRowsTerm<E>& term, const E* w, Vec<Compute<E>> (&sums)[kOuts][kRows],
                                 ReadAhead* ahead) {
  using P = Products<E>;
  const auto multiply = [&](auto operand_at) __attribute__((always_inline)) {
    typename P::Operand weights[kOuts];
#pragma GCC unroll 8
    for (int o = 0; o < kOuts; ++o) weights[o] = operand_at(w + o * term.w_stride);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const typename P::Operand row = operand_at(term.x + r * term.x_stride);
#pragma GCC unroll 8
      for (int o = 0; o < kOuts; ++o) sums[o][r] = P::add(sums[o][r], weights[o], row);
    }
  };
  int64_t i = 0;
  for (; i + P::kStep <= term.in; i += P::kStep) {
    if (ahead) ahead->advance<kOuts, P::kStep* static_cast<int64_t>(sizeof(E))>();
    multiply([i](const E* p) __attribute__((always_inline)) { return P::load_operand(p + i); });
  }
  if (i < term.in) {
    multiply([ i, left = term.in - i ](const E* p)
                 __attribute__((always_inline)) { return tail_operand(p + i, left); });
  }
}

/// kOuts weight rows from row o on, of every term.
template <class E, int kRows, int kOuts>
void few_rows_block(const FewRowsTerm<E>& product, const FewRowsTerm<E>& added, const E* bias, E* y, int64_t y_stride,
                    int64_t o, ReadAhead& ahead) {
  using C = Compute<E>;
  Vec<C> sums[kOuts][kRows] = {};
  add_products<E, kRows, kOuts>(product, product.w + o * product.w_stride, sums, &ahead);
  if (added.in > 0) add_products<E, kRows, kOuts>(added, added.w + o * added.w_stride, sums, nullptr);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kOuts; ++i) {  // unrolled, or the sums would lie in memory all the time
      C sum = sum_of<C>(sums[i][r]);
      if (bias) sum += to_compute(bias[o + i]);
      y[r * y_stride + o + i] = rounded<E>(sum);
    }
  }
}

template <class E, int kRows>
void few_rows_of(const FewRowsTerm<E>& product, const FewRowsTerm<E>& added, const E* bias, E* y, int64_t y_stride,
                 int64_t outs) {
  constexpr int kOuts = kVectorBytes == 64 ? (kRows <= 4 ? 4 : 3) : (kRows <= 2 ? 4 : 1);  // sums stay in registers
  constexpr int64_t kLeadBytes = 12288, kLeadRows = 8 * kOuts;  // beyond the rows that are being read
  ReadAhead ahead(product, outs), added_ahead(added, outs);
  int64_t o = 0;
  for (; o + kOuts <= outs; o += kOuts) {
    ahead.reach(product, o + kOuts, kLeadBytes);
    added_ahead.reach(added, o + kLeadRows, 0);
    few_rows_block<E, kRows, kOuts>(product, added, bias, y, y_stride, o, ahead);
  }
  for (; o < outs; ++o) few_rows_block<E, kRows, 1>(product, added, bias, y, y_stride, o, ahead);
}

/// kVectors vectors of columns, of which the last may be a part.
template <class E, int kRows, int kVectors>
MOELORA_INLINE void few_rows_add_block(const E* x, int64_t x_stride, const E* w, int64_t w_stride, int64_t in, E* y,
                                       int64_t y_stride, int64_t outs) {
  using C = Compute<E>;
  constexpr int64_t kLane = kLanes<C>;
  Vec<C> sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[r][v] = load_up_to(y + r * y_stride + v * kLane, outs - v * kLane);
  }
  for (int64_t i = 0; i < in; ++i) {
    Vec<C> weights[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) weights[v] = load_up_to(w + i * w_stride + v * kLane, outs - v * kLane);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec<C> factor = splat<C>(to_compute(x[r * x_stride + i]));
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] += weights[v] * factor;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) store_up_to(y + r * y_stride + v * kLane, sums[r][v], outs - v * kLane);
  }
}

template <class E, int kRows>
void few_rows_add_of(const E* x, int64_t x_stride, const E* w, int64_t w_stride, int64_t in, E* y, int64_t y_stride,
                     int64_t outs) {
  constexpr int64_t kLane = kLanes<Compute<E>>;
  constexpr int kVectors = kVectorBytes == 64 ? 2 : 1;  // sums stay in registers
  int64_t o = 0;
  for (; o + kVectors * kLane <= outs; o += kVectors * kLane)
    few_rows_add_block<E, kRows, kVectors>(x, x_stride, w + o, w_stride, in, y + o, y_stride, kVectors * kLane);
  for (; o < outs; o += kLane)
    few_rows_add_block<E, kRows, 1>(x, x_stride, w + o, w_stride, in, y + o, y_stride, outs - o);
}

/// f with the number of rows as a constant, 1 to 8; nothing where there is none.
template <class F>
MOELORA_INLINE void for_count_of_rows(int64_t rows, const F& f) {
  switch (rows) {
    case 1:
      return f(std::integral_constant<int, 1>());
    case 2:
      return f(std::integral_constant<int, 2>());
    case 3:
      return f(std::integral_constant<int, 3>());
    case 4:
      return f(std::integral_constant<int, 4>());
    case 5:
      return f(std::integral_constant<int, 5>());
    case 6:
      return f(std::integral_constant<int, 6>());
    case 7:
      return f(std::integral_constant<int, 7>());
    case 8:
      return f(std::integral_constant<int, 8>());
    default:
      return;  // no rows
  }
}

template <class E>
void few_rows(const FewRowsTerm<E>& product, const FewRowsTerm<E>& added, int64_t rows, const E* bias, E* y,
              int64_t y_stride, int64_t outs) {
  for_count_of_rows(rows, [&]<int kRows>(std::integral_constant<int, kRows>) {
    few_rows_of<E, kRows>(product, added, bias, y, y_stride, outs);
  });
}

template <class E>
void few_rows_add(const E* x, int64_t x_stride, int64_t rows, const E* w, int64_t w_stride, int64_t in, E* y,
                  int64_t y_stride, int64_t outs) {
  for_count_of_rows(rows, [&]<int kRows>(std::integral_constant<int, kRows>) {
    few_rows_add_of<E, kRows>(x, x_stride, w, w_stride, in, y, y_stride, outs);
  });
}

}  // namespace
}  // namespace moelora::kernels
