// Vectors for the level files, as wide as the flags they are compiled with: GCC/Clang vector extensions, with
// intrinsics only where those can't say it. Everything has internal linkage: one copy a level, none shared by the
// linker.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/passes.h"

namespace moelora::kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

#define MOELORA_INLINE inline __attribute__((always_inline))

template <class T, int kBytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes)));
};
/// A full vector of T (float, double, int32_t, uint32_t, …).
template <class T>
using Vec = typename VectorOf<T, kVectorBytes>::type;
template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

typedef VectorOf<uint16_t, kVectorBytes / 2>::type HalfVec;  // the bf16 of one vector of floats

template <class T>
MOELORA_INLINE Vec<T> splat(T value) {
  return Vec<T>{} + value;
}
template <>
MOELORA_INLINE Vec<float> splat<float>(float value) {  // 0 + -0 would lose the sign
  return value - Vec<float>{};
}
template <>
MOELORA_INLINE Vec<double> splat<double>(double value) {
  return value - Vec<double>{};
}

template <class To, class From>
MOELORA_INLINE To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

template <class V>
MOELORA_INLINE V load_raw(const void* from) {
  V v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

MOELORA_INLINE HalfVec to_bf16(Vec<float> x) {  // round to nearest even, NaN stays NaN
#if defined(__AVX512BF16__)
  return bits_as<HalfVec>(_mm512_cvtneps_pbh(x));
#else
  Vec<uint32_t> u = bits_as<Vec<uint32_t>>(x);
  const Vec<uint32_t> rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  u = x == x ? rounded : splat<uint32_t>(0x7fc0u);
  return __builtin_convertvector(u, HalfVec);
#endif
}
MOELORA_INLINE Vec<float> from_bf16(HalfVec h) {
  return bits_as<Vec<float>>(__builtin_convertvector(h, Vec<uint32_t>) << 16);
}

MOELORA_INLINE Vec<float> load(const float* p) {
  return load_raw<Vec<float>>(p);
}
MOELORA_INLINE Vec<double> load(const double* p) {
  return load_raw<Vec<double>>(p);
}
MOELORA_INLINE Vec<float> load(const Bf16* p) {
  return from_bf16(load_raw<HalfVec>(p));
}
MOELORA_INLINE void store(float* p, Vec<float> v) {
  std::memcpy(p, &v, sizeof(v));
}
MOELORA_INLINE void store(double* p, Vec<double> v) {
  std::memcpy(p, &v, sizeof(v));
}
MOELORA_INLINE void store(Bf16* p, Vec<float> v) {
  const HalfVec h = to_bf16(v);
  std::memcpy(p, &h, sizeof(h));
}

MOELORA_INLINE float to_compute(float x) {
  return x;
}
MOELORA_INLINE double to_compute(double x) {
  return x;
}
MOELORA_INLINE float to_compute(Bf16 x) {
  return bits_as<float>(static_cast<uint32_t>(x.bits) << 16);
}

/// The first n lanes; the others are zero. 0 < n <= lanes.
template <class E>
MOELORA_INLINE Vec<Compute<E>> load_part(const E* p, int64_t n) {
  E buffer[kLanes<Compute<E>>] = {};
  std::memcpy(buffer, p, static_cast<size_t>(n) * sizeof(E));
  return load(buffer);
}
template <class E>
MOELORA_INLINE void store_part(E* p, Vec<Compute<E>> v, int64_t n) {
  E buffer[kLanes<Compute<E>>];
  store(buffer, v);
  std::memcpy(p, buffer, static_cast<size_t>(n) * sizeof(E));
}
/// Full or part, by how many elements are left.
template <class E>
MOELORA_INLINE Vec<Compute<E>> load_up_to(const E* p, int64_t left) {
  return left >= kLanes<Compute<E>> ? load(p) : load_part(p, left);
}
template <class E>
MOELORA_INLINE void store_up_to(E* p, Vec<Compute<E>> v, int64_t left) {
  if (left >= kLanes<Compute<E>>) {
    store(p, v);
  } else {
    store_part(p, v, left);
  }
}
/// What a value becomes when it is stored as E and read back.
template <class E>
MOELORA_INLINE Vec<Compute<E>> rounded_to(Vec<Compute<E>> v) {
  return v;
}
template <>
MOELORA_INLINE Vec<float> rounded_to<Bf16>(Vec<float> v) {
  return from_bf16(to_bf16(v));
}

template <class C>
MOELORA_INLINE C sum_of(Vec<C> v) {  // pairwise: lane i with lane i + half
  C lanes[kLanes<C>];
  std::memcpy(lanes, &v, sizeof(v));
#pragma GCC unroll 8
  for (int half = kLanes<C> / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}
template <class V>
MOELORA_INLINE V max_of(V a, V b) {
  return a > b ? a : b;
}
template <class C>
MOELORA_INLINE C max_lane(Vec<C> v) {
  C lanes[kLanes<C>];
  std::memcpy(lanes, &v, sizeof(v));
#pragma GCC unroll 8
  for (int half = kLanes<C> / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
  }
  return lanes[0];
}
#if defined(__AVX512F__)
template <>
MOELORA_INLINE float sum_of<float>(Vec<float> v) {
  return _mm512_reduce_add_ps(v);
}
template <>
MOELORA_INLINE float max_lane<float>(Vec<float> v) {
  return _mm512_reduce_max_ps(v);
}
template <>
MOELORA_INLINE Vec<float> max_of(Vec<float> a, Vec<float> b) {
  return _mm512_max_ps(a, b);
}
#endif

template <int kStride, class V, int... kLane>
MOELORA_INLINE V swap_low(V a, V b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(
      a, b, ((kLane & kStride) != 0 ? static_cast<int>(sizeof...(kLane)) + kLane - kStride : kLane)...);
}
template <int kStride, class V, int... kLane>
MOELORA_INLINE V swap_high(V a, V b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(
      a, b, ((kLane & kStride) != 0 ? static_cast<int>(sizeof...(kLane)) + kLane : kLane + kStride)...);
}
/// Transposes a square of lanes: rows[i][j] becomes rows[j][i]. Exchanges blocks of 1, 2, 4, … lanes.
template <class T, int kStride = 1>
MOELORA_INLINE void transpose(Vec<T> (&rows)[kLanes<T>]) {
  constexpr std::make_integer_sequence<int, kLanes<T>> kAll;
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<T>; ++i) {
    if ((i & kStride) != 0) continue;
    const Vec<T> a = rows[i], b = rows[i + kStride];
    rows[i] = swap_low<kStride>(a, b, kAll);
    rows[i + kStride] = swap_high<kStride>(a, b, kAll);
  }
  if constexpr (kStride * 2 < kLanes<T>) transpose<T, kStride * 2>(rows);
}

/// The even and the odd lanes of a followed by b; and back: half of what a and b make by turns, from lane kFrom on.
template <class V, int... kLane>
MOELORA_INLINE V even_lanes(V a, V b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b, (2 * kLane)...);
}
template <class V, int... kLane>
MOELORA_INLINE V odd_lanes(V a, V b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b, (2 * kLane + 1)...);
}
template <int kFrom, class V, int... kLane>
MOELORA_INLINE V interleaved(V a, V b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b, (kFrom + kLane / 2 + kLane % 2 * static_cast<int>(sizeof...(kLane)))...);
}

/// The lane numbers 0, 1, 2, …
MOELORA_INLINE Vec<int32_t> lane_numbers() {
  int32_t lanes[kLanes<int32_t>];
  for (int i = 0; i < kLanes<int32_t>; ++i) lanes[i] = i;
  return load_raw<Vec<int32_t>>(lanes);
}

/// exp, relative error below 2e-7; 0 (or a number too small for a normal float) below -87.3, so for -inf, and a large
/// finite number above 88.3; NaN stays NaN. 2^n * p(r) with x = n ln 2 + r and |r| <= ln 2 / 2; the coefficients are
/// those of Cephes' expf (Moshier).
MOELORA_INLINE Vec<float> exp_of(Vec<float> x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
#if defined(__AVX512F__)
  constexpr float kLow = -104.0f, kHigh = 88.37f;  // exp(kLow) rounds to 0
  const Vec<float> clamped =
      _mm512_min_ps(splat(kHigh), _mm512_max_ps(splat(kLow), x));  // the second operand where it is NaN
#else
  constexpr float kLow = -87.33f, kHigh = 88.37f;
  const Vec<float> clamped = x > kHigh ? splat(kHigh) : x;
#endif
  const Vec<float> shifted = clamped * 1.44269504088896341f + kMagic;
  const Vec<float> n = shifted - kMagic;
  Vec<float> r = clamped - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Vec<float> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
#if defined(__AVX512F__)
  return _mm512_scalef_ps(p, n);
#else
  const Vec<int32_t> exponent = bits_as<Vec<int32_t>>(shifted) - bits_as<int32_t>(kMagic);
  const Vec<float> scaled = p * bits_as<Vec<float>>((exponent + 127) << 23);
  return x < kLow ? Vec<float>{} : scaled;
#endif
}
MOELORA_INLINE Vec<double> exp_of(Vec<double> x) {
  for (int i = 0; i < kLanes<double>; ++i) x[i] = __builtin_exp(x[i]);
  return x;
}
MOELORA_INLINE float exp_of(float x) {
  return __builtin_expf(x);
}
MOELORA_INLINE double exp_of(double x) {
  return __builtin_exp(x);
}
MOELORA_INLINE float log_of(float x) {
  return __builtin_logf(x);
}
MOELORA_INLINE double log_of(double x) {
  return __builtin_log(x);
}

/// tanh with absolute error near 1e-7 (float): enough for capping scores, where the cap is far above 1.
template <class V>
MOELORA_INLINE V tanh_of(V x) {
  return 1 - 2 / (exp_of(2 * x) + 1);
}

}  // namespace
}  // namespace moelora::kernels
