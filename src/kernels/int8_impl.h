// The passes of int8.h, but for products of many rows, which ATen has.
#pragma once

#include <limits>
#include <type_traits>

#include "kernels/few_rows_impl.h"
#include "kernels/simd.h"

namespace moelora::kernels {
namespace {

typedef VectorOf<int8_t, kLanes<float>>::type ByteVec;  // the int8 of one vector of floats

MOELORA_INLINE Vec<float> rounded_to_whole(Vec<float> x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, to nearest even
  return (x + kMagic) - kMagic;
}

/// q = round(x * column_scale / scale) with scale = the row's largest magnitude / 127.
template <class E>
void quantize_rows(const E* x, int64_t x_stride, const float* column_scales, int8_t* q, float* scales, int64_t rows,
                   int64_t width) {
  constexpr int64_t kStep = kLanes<float>;
  for (int64_t row = 0; row < rows; ++row, x += x_stride, q += width) {
    const auto values_at = [&](int64_t i) __attribute__((always_inline)) {
      const Vec<float> v = load_up_to(x + i, width - i);
      return column_scales ? v * load_up_to(column_scales + i, width - i) : v;
    };
    Vec<float> largest{}, sum{};
    for (int64_t i = 0; i < width; i += kStep) {
      const Vec<float> v = values_at(i);
      largest = max_of(largest, v > 0 ? v : -v);
      sum += v * 0.0f;  // 0, or NaN where any value is NaN or infinite
    }
    const float scale = max_lane<float>(largest) / 127;
    const float poison = sum_of<float>(sum);
    scales[row] = poison == 0 ? scale : std::numeric_limits<float>::quiet_NaN();
    const float inverse = poison == 0 && scale > 0 ? 1 / scale : 0;
    for (int64_t i = 0; i < width; i += kStep) {
      Vec<float> v = rounded_to_whole(values_at(i) * inverse);
      v = inverse > 0 ? v : Vec<float>{};
      v = v > 127.0f ? splat(127.0f) : v < -127.0f ? splat(-127.0f) : v;
      const ByteVec bytes = __builtin_convertvector(__builtin_convertvector(v, Vec<int32_t>), ByteVec);
      std::memcpy(q + i, &bytes, static_cast<size_t>(width - i < kStep ? width - i : kStep));
    }
  }
}

/// y = sums * row_scale * column_scale (1 where null) + bias (0 where null), or y += that where `add`.
template <class E>
void scale_sums(const int32_t* sums, const float* row_scales, const float* column_scales, const E* bias, E* y,
                int64_t y_stride, int64_t rows, int64_t width, bool add) {
  constexpr int64_t kStep = kLanes<float>;
  for (int64_t row = 0; row < rows; ++row, sums += width, y += y_stride) {
    for (int64_t i = 0; i < width; i += kStep) {
      const int64_t left = width - i;
      Vec<int32_t> whole{};
      std::memcpy(&whole, sums + i, static_cast<size_t>(left < kStep ? left : kStep) * sizeof(int32_t));
      Vec<float> v = __builtin_convertvector(whole, Vec<float>) * row_scales[row];
      if (column_scales) v *= load_up_to(column_scales + i, left);
      if (bias) v += load_up_to(bias + i, left);
      if (add) v += load_up_to(y + i, left);
      store_up_to(y + i, v, left);
    }
  }
}

/// Products that take the bytes of x as they are.
struct SignedBytes {
  static MOELORA_INLINE auto row(auto x) { return x; }
  static constexpr int32_t kShift = 0;
};

/// Sums of products of int8: by the instruction for unsigned with signed bytes where there is one (x is moved up by
/// 128, which adds 128 times the sum of w), else as pairs of 16-bit numbers, else one by one.
#if defined(__AVX512VNNI__)
struct Int8Products {
  static constexpr int64_t kStep = 64;
  using Sums = __m512i;
  static MOELORA_INLINE Sums none() { return _mm512_setzero_si512(); }
  static MOELORA_INLINE __m512i load_part(const int8_t* p, int64_t left) {
    return left >= kStep ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8((static_cast<__mmask64>(1) << left) - 1, p);
  }
  static MOELORA_INLINE __m512i row(__m512i x) { return _mm512_xor_si512(x, _mm512_set1_epi8(-128)); }
  static MOELORA_INLINE Sums add(Sums sums, __m512i x, __m512i w) { return _mm512_dpbusd_epi32(sums, x, w); }
  static MOELORA_INLINE int32_t total(Sums sums) { return _mm512_reduce_add_epi32(sums); }
  static constexpr int32_t kShift = 128;
};
#elif defined(__AVX512BW__)
struct Int8Products : SignedBytes {
  static constexpr int64_t kStep = 32;
  using Sums = __m512i;
  static MOELORA_INLINE Sums none() { return _mm512_setzero_si512(); }
  static MOELORA_INLINE __m512i load_part(const int8_t* p, int64_t left) {
    const __m256i bytes =
        left >= kStep ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))
                      : _mm256_maskz_loadu_epi8(static_cast<__mmask32>((static_cast<uint64_t>(1) << left) - 1), p);
    return _mm512_cvtepi8_epi16(bytes);
  }
  static MOELORA_INLINE Sums add(Sums sums, __m512i x, __m512i w) {
    return _mm512_add_epi32(sums, _mm512_madd_epi16(x, w));
  }
  static MOELORA_INLINE int32_t total(Sums sums) { return _mm512_reduce_add_epi32(sums); }
};
#elif defined(__AVX2__)
struct Int8Products : SignedBytes {
  static constexpr int64_t kStep = 16;
  using Sums = __m256i;
  static MOELORA_INLINE Sums none() { return _mm256_setzero_si256(); }
  static MOELORA_INLINE __m256i load_part(const int8_t* p, int64_t left) {
    int8_t bytes[kStep] = {};
    std::memcpy(bytes, p, static_cast<size_t>(left < kStep ? left : kStep));
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  }
  static MOELORA_INLINE Sums add(Sums sums, __m256i x, __m256i w) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(x, w));
  }
  static MOELORA_INLINE int32_t total(Sums sums) {
    const Vec<int32_t> lanes = bits_as<Vec<int32_t>>(sums);
    int32_t total = 0;
    for (int i = 0; i < kLanes<int32_t>; ++i) total += lanes[i];
    return total;
  }
  static constexpr int32_t kShift = 0;
};
#else
struct Int8Products : SignedBytes {
  static constexpr int64_t kStep = 1;
  using Sums = int32_t;
  static MOELORA_INLINE Sums none() { return 0; }
  static MOELORA_INLINE int32_t load_part(const int8_t* p, int64_t) { return *p; }
  static MOELORA_INLINE Sums add(Sums sums, int32_t x, int32_t w) { return sums + x * w; }
  static MOELORA_INLINE int32_t total(Sums sums) { return sums; }
};
#endif

template <int kRows>
void int8_few_rows_of(const int8_t* x, const int8_t* w, const int32_t* w_sums, int64_t in, int32_t* y, int64_t y_stride,
                      int64_t outs) {
  using P = Int8Products;
  for (int64_t o = 0; o < outs; ++o, w += in) {
    typename P::Sums sums[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] = P::none();
    for (int64_t i = 0; i < in; i += P::kStep) {
      const auto weights = P::load_part(w + i, in - i);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sums[r] = P::add(sums[r], P::row(P::load_part(x + r * in + i, in - i)), weights);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) y[r * y_stride + o] = P::total(sums[r]) - P::kShift * w_sums[o];
  }
}

inline void int8_few_rows(const int8_t* x, int64_t rows, const int8_t* w, const int32_t* w_sums, int64_t in, int32_t* y,
                          int64_t y_stride, int64_t outs) {
  for_count_of_rows(rows, [&]<int kRows>(std::integral_constant<int, kRows>) {
    int8_few_rows_of<kRows>(x, w, w_sums, in, y, y_stride, outs);
  });
}

}  // namespace
}  // namespace moelora::kernels
