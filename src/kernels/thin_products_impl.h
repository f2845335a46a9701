// The pass of thin_products.h, for CPUs with products of bf16 pairs; other levels have none, and ATen's products serve.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/simd.h"

namespace moelora::kernels {
namespace {

#if defined(__AVX512BF16__)

constexpr int64_t kThinRows = 32;      // rows of x that are in the first cache while both products read them
constexpr int64_t kThinColumns = 128;  // and columns

MOELORA_INLINE __m512bh pair_everywhere(uint32_t pair) {
  return bits_as<__m512bh>(_mm512_set1_epi32(static_cast<int>(pair)));
}

/// projected [kRows, 16] += x [kRows, 2 * pairs] times w_pairs [pairs, 16], of which each row lies `stride` apart.
template <int kRows>
MOELORA_INLINE void thin_project_block(const Bf16* x, int64_t x_stride, int64_t pairs, const uint32_t* w_pairs,
                                       int64_t stride, float* projected) {
  __m512 sums[kRows];
#pragma GCC unroll 16
  for (int t = 0; t < kRows; ++t) sums[t] = _mm512_loadu_ps(projected + t * stride);
  for (int64_t p = 0; p < pairs; ++p) {
    const __m512bh w = bits_as<__m512bh>(_mm512_loadu_si512(w_pairs + p * stride));
#pragma GCC unroll 16
    for (int t = 0; t < kRows; ++t) {
      uint32_t pair;
      std::memcpy(&pair, x + t * x_stride + 2 * p, sizeof(pair));
      sums[t] = _mm512_dpbf16_ps(sums[t], pair_everywhere(pair), w);
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < kRows; ++t) _mm512_storeu_ps(projected + t * stride, sums[t]);
}

/// gradient [kFactors, kThinColumns] += u^T x for 32 columns of x, whose sums lie in the order that unpacking two rows
/// gives them: first the lower halves of each eight, then the upper ones.
template <int kFactors>
MOELORA_INLINE void thin_gradient_block(const Bf16* x, int64_t x_stride, int64_t rows, __mmask32 columns,
                                        const uint32_t* u_pairs, int64_t stride, float* gradient) {
  __m512 low[kFactors], high[kFactors];
#pragma GCC unroll 8
  for (int r = 0; r < kFactors; ++r) {
    low[r] = _mm512_loadu_ps(gradient + r * kThinColumns);
    high[r] = _mm512_loadu_ps(gradient + r * kThinColumns + 16);
  }
  for (int64_t t = 0; t < rows; t += 2, u_pairs += stride) {
    const __m512i first = _mm512_maskz_loadu_epi16(columns, x + t * x_stride);
    const __m512i second =
        t + 1 < rows ? _mm512_maskz_loadu_epi16(columns, x + (t + 1) * x_stride) : _mm512_setzero_si512();
    const auto below = bits_as<__m512bh>(_mm512_unpacklo_epi16(first, second));
    const auto above = bits_as<__m512bh>(_mm512_unpackhi_epi16(first, second));
#pragma GCC unroll 8
    for (int r = 0; r < kFactors; ++r) {
      const __m512bh u = pair_everywhere(u_pairs[r]);
      low[r] = _mm512_dpbf16_ps(low[r], below, u);
      high[r] = _mm512_dpbf16_ps(high[r], above, u);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kFactors; ++r) {
    _mm512_storeu_ps(gradient + r * kThinColumns, low[r]);
    _mm512_storeu_ps(gradient + r * kThinColumns + 16, high[r]);
  }
}

/// Where column c of 32 lies among the sums of thin_gradient_block.
constexpr int64_t thin_place(int64_t c) {
  return c / 8 * 4 + c % 4 + (c % 8 >= 4 ? 16 : 0);
}

void thin_products(const ThinProducts& p) {
  alignas(64) float gradient[kMostFactors * kThinColumns];
  for (int64_t begin = p.begin; begin < p.end; begin += kThinColumns) {
    const int64_t columns = std::min(kThinColumns, p.end - begin);
    if (p.u_pairs) std::memset(gradient, 0, sizeof(gradient));
    for (int64_t t = 0; t < p.rows; t += kThinRows) {
      const int64_t rows = std::min(kThinRows, p.rows - t);
      const Bf16* x = p.x + t * p.x_stride + begin;
      for (int64_t row = kThinRows; row < std::min(2 * kThinRows, p.rows - t); ++row) {  // the next block, far apart
        for (int64_t c = 0; c < columns; c += 32)
          _mm_prefetch(reinterpret_cast<const char*>(x + row * p.x_stride + c), _MM_HINT_T1);
      }
      if (p.w_pairs) {
        for (int64_t r = 0; r < p.factors; r += 16) {
          const uint32_t* w = p.w_pairs + begin / 2 * p.stride + r;
          float* out = p.projected + t * p.stride + r;
          int64_t row = 0;
          for (; row + 16 <= rows; row += 16)
            thin_project_block<16>(x + row * p.x_stride, p.x_stride, columns / 2, w, p.stride, out + row * p.stride);
          for (; row + 4 <= rows; row += 4)
            thin_project_block<4>(x + row * p.x_stride, p.x_stride, columns / 2, w, p.stride, out + row * p.stride);
          for (; row < rows; ++row)
            thin_project_block<1>(x + row * p.x_stride, p.x_stride, columns / 2, w, p.stride, out + row * p.stride);
        }
      }
      if (p.u_pairs) {
        const uint32_t* u = p.u_pairs + t / 2 * p.stride;
        for (int64_t c = 0; c < columns; c += 32) {
          const int64_t left = columns - c;
          const auto mask = static_cast<__mmask32>(left >= 32 ? 0xffffffffu : (1u << left) - 1);
          int64_t r = 0;
          for (; r + 8 <= p.factors; r += 8)
            thin_gradient_block<8>(x + c, p.x_stride, rows, mask, u + r, p.stride, gradient + r * kThinColumns + c);
          for (; r < p.factors; ++r)
            thin_gradient_block<1>(x + c, p.x_stride, rows, mask, u + r, p.stride, gradient + r * kThinColumns + c);
        }
      }
    }
    if (!p.u_pairs) continue;
    for (int64_t r = 0; r < p.factors; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        p.gradient[(begin + c) * p.column_stride + r * p.factor_stride] =
            gradient[r * kThinColumns + c / 32 * 32 + thin_place(c % 32)];
      }
    }
  }
}

constexpr auto kThinPass = thin_products;
#else
constexpr void (*kThinPass)(const ThinProducts&) = nullptr;
#endif

}  // namespace
}  // namespace moelora::kernels
