// The pass of nf4.h: codes of four bits become numbers again.
#pragma once

#include <type_traits>

#include "kernels/few_rows_impl.h"
#include "kernels/nf4_levels.h"
#include "kernels/simd.h"

namespace moelora::kernels {
namespace {

/// One whole block: the product of level and scale is rounded to E once, as a table of sixteen.
template <class E>
MOELORA_INLINE void nf4_block(const uint8_t* codes, float scale, E* out) {
#if defined(__AVX512BF16__)
  if constexpr (std::is_same_v<E, Bf16>) {
    const __m256i table = bits_as<__m256i>(_mm512_cvtneps_pbh(_mm512_mul_ps(load(kNf4Levels), _mm512_set1_ps(scale))));
    const __m512i levels = _mm512_broadcast_i64x4(table);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {  // 16 bytes are 32 numbers, the high four bits first
      const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + 16 * half)));
      const __m512i low = _mm512_and_si512(_mm512_slli_epi32(bytes, 16), _mm512_set1_epi32(0xF0000));
      const __m512i numbers = _mm512_permutexvar_epi16(_mm512_or_si512(_mm512_srli_epi32(bytes, 4), low), levels);
      _mm512_storeu_si512(out + 32 * half, numbers);
    }
    return;
  }
#endif
#if defined(__AVX512F__)
  if constexpr (!std::is_same_v<Compute<E>, double>) {
    const __m512 levels = _mm512_mul_ps(load(kNf4Levels), _mm512_set1_ps(scale));
#pragma GCC unroll 4
    for (int quarter = 0; quarter < 4; ++quarter) {
      const __m128i bytes = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + 8 * quarter)));
      const __m128i high = _mm_srli_epi16(bytes, 4);
      const __m128i low = _mm_slli_epi16(_mm_and_si128(bytes, _mm_set1_epi16(15)), 8);
      store(out + 16 * quarter,
            static_cast<Vec<float>>(_mm512_permutexvar_ps(_mm512_cvtepu8_epi32(_mm_or_si128(high, low)), levels)));
    }
    return;
  }
#endif
  E table[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) table[i] = rounded<E>(kNf4Levels[i] * scale);
  for (int64_t i = 0; i < kNf4Block / 2; ++i) {
    out[2 * i] = table[codes[i] >> 4];
    out[2 * i + 1] = table[codes[i] & 15];
  }
}

/// `count` numbers from the beginning of a block on; scales, one a block.
template <class E>
void nf4_dequantize(const uint8_t* codes, const float* scales, E* out, int64_t count) {
  for (; count >= kNf4Block; count -= kNf4Block, codes += kNf4Block / 2, out += kNf4Block) {
    nf4_block<E>(codes, *scales++, out);
  }
  for (int64_t i = 0; i < count; ++i) {
    const int code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
    out[i] = rounded<E>(kNf4Levels[code] * *scales);
  }
}

}  // namespace
}  // namespace moelora::kernels
