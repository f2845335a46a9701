// The register tile that attention multiplies with, and the packing of its operands. Written once over simd.h and
// compiled by each level file.
//
// Products run on a register tile of kTileRows x kTileColumns: C[rows][columns] (+)= A[rows][k] B[k][columns], A
// row-major in "words", B packed in panels of kTileColumns columns, each [k][kTileColumns] words. A word is one number,
// or two neighbouring bf16 along k where the processor multiplies such pairs (Multiply::kPack). Everything a tile needs
// stays in the first two cache levels.
#pragma once

#include <cstdint>

#include "kernels/simd.h"

namespace moelora::kernels {
namespace {

constexpr int kTileRows = 6;
#if defined(__AVX512F__)
constexpr int kTileVectors = 4;
#else
constexpr int kTileVectors = 2;
#endif

/// Words that are the compute type itself: float and double, and bf16 widened to float.
template <class Source, class Number>
struct PlainMultiply {
  using E = Source;  // tensors' elements
  using C = Number;  // accumulators
  using Word = Number;
  using Part = Number;  // what a word is made of
  static constexpr int kPack = 1;
  static MOELORA_INLINE Word make(const E* x, int64_t) { return to_compute(x[0]); }
  static MOELORA_INLINE Vec<C> madd(Vec<C> acc, Vec<Word> a, Vec<Word> b) { return acc + a * b; }
};

#if defined(__AVX512BF16__)
struct PairMultiply {
  using E = Bf16;
  using C = float;
  using Word = uint32_t;
  using Part = Bf16;
  static constexpr int kPack = 2;
  static MOELORA_INLINE Word make(const E* x, int64_t left) {
    return x[0].bits | (left > 1 ? static_cast<uint32_t>(x[1].bits) << 16 : 0u);
  }
  static MOELORA_INLINE Vec<C> madd(Vec<C> acc, Vec<Word> a, Vec<Word> b) {
    return _mm512_dpbf16_ps(acc, bits_as<__m512bh>(a), bits_as<__m512bh>(b));
  }
};
#endif

template <class E>
struct MultiplyOf {
  using type = PlainMultiply<E, Compute<E>>;
};
#if defined(__AVX512BF16__)
template <>
struct MultiplyOf<Bf16> {
  using type = PairMultiply;
};
#endif

MOELORA_INLINE int64_t round_up(int64_t n, int64_t step) {
  return (n + step - 1) / step * step;
}
MOELORA_INLINE int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}
MOELORA_INLINE int64_t most(int64_t a, int64_t b) {
  return a > b ? a : b;
}

template <class M>
struct AttentionTiles {
  using E = typename M::E;
  using C = typename M::C;
  using Word = typename M::Word;
  using Part = typename M::Part;
  static constexpr int64_t kPack = M::kPack;
  static constexpr int64_t kStep = kLanes<C>;
  static constexpr int64_t kColumns = kTileVectors * kStep;  // of a panel

  static int64_t words(int64_t n) { return (n + kPack - 1) / kPack; }
  static int64_t panels(int64_t n) { return (n + kColumns - 1) / kColumns; }
  static int64_t padded(int64_t n) { return round_up(n, kColumns); }

  /// C[kTileRows][kColumns] (+)= A B over k words.
  static MOELORA_INLINE void tile(const Word* a, int64_t a_stride, const Word* b, int64_t k, C* c, int64_t c_stride,
                                  bool accumulate) {
    Vec<C> acc[kTileRows][kTileVectors];
#pragma GCC unroll 6
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) acc[r][v] = accumulate ? load(c + r * c_stride + v * kStep) : Vec<C>{};
    }
    for (int64_t i = 0; i < k; ++i, b += kColumns) {
      Vec<Word> columns[kTileVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) columns[v] = load_raw<Vec<Word>>(b + v * kStep);
#pragma GCC unroll 6
      for (int r = 0; r < kTileRows; ++r) {
        const Vec<Word> row = splat<Word>(a[r * a_stride + i]);
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) acc[r][v] = M::madd(acc[r][v], row, columns[v]);
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) store(c + r * c_stride + v * kStep, acc[r][v]);
    }
  }

  /// A: rows [begin, end) as words along the head, rows past `end` up to `rows` zero. to [rows][words(size)].
  static void copy_rows(HeadRows<E> from, int64_t begin, int64_t end, int64_t rows, int64_t size, Word* to) {
    const int64_t count = words(size);
    for (int64_t r = 0; r < rows; ++r, to += count) {
      if (begin + r >= end) {
        std::memset(to, 0, static_cast<size_t>(count) * sizeof(Word));
        continue;
      }
      const E* row = from.data + (begin + r) * from.row_stride;
      if (sizeof(E) * kPack == sizeof(Word) && size % kPack == 0) {
        std::memcpy(to, row, static_cast<size_t>(size) * sizeof(E));
      } else {
        for (int64_t i = 0; i < count; ++i) to[i] = M::make(row + i * kPack, size - i * kPack);
      }
    }
  }

  /// B = rows^T: k runs along the head, columns are the rows. to [panels(n)][words(size)][kColumns].
  static void pack_transposed(HeadRows<E> from, int64_t n, int64_t size, Word* to) {
    const int64_t count = words(size);
    for (int64_t panel = 0; panel < n; panel += kColumns, to += count * kColumns) {
      for (int64_t c = 0; c < kColumns; c += kStep) {
        for (int64_t i = 0; i < count; i += kStep) {
          Vec<Word> square[kStep] = {};
          const int64_t rows = least(kStep, n - panel - c);
          for (int64_t r = 0; r < rows; ++r)
            square[r] = load_words(from.data + (panel + c + r) * from.row_stride + i * kPack, size - i * kPack);
          transpose<Word>(square);
          for (int64_t r = 0; r < least(kStep, count - i); ++r)
            std::memcpy(to + (i + r) * kColumns + c, &square[r], sizeof(square[r]));
        }
      }
    }
  }
  /// A vector of words along the head, zero from `left` elements on.
  static MOELORA_INLINE Vec<Word> load_words(const E* x, int64_t left) {
    if constexpr (kPack == 1) {
      return load_up_to(x, left);
    } else {
      if (left >= kStep * kPack) return load_raw<Vec<Word>>(x);
      Vec<Word> words = {};
      std::memcpy(&words, x, static_cast<size_t>(left) * sizeof(E));
      return words;
    }
  }

  /// B = rows: k runs along the rows, columns are the head. to [panels(size)][words(n)][kColumns].
  static void pack_rows(HeadRows<E> from, int64_t n, int64_t size, Word* to) {
    const int64_t count = words(n);
    for (int64_t panel = 0; panel < size; panel += kColumns) {
      for (int64_t i = 0; i < count; ++i, to += kColumns) {
        for (int64_t c = 0; c < kColumns; c += kStep) {
          const Vec<Word> column_words = words_down(from, i * kPack, n, panel + c, size);
          std::memcpy(to + c, &column_words, sizeof(column_words));
        }
      }
    }
  }
  /// A vector of words for head dimensions from `d` on, each of kPack rows from `row` on; zero past row n and past
  /// `size`.
  static MOELORA_INLINE Vec<Word> words_down(HeadRows<E> from, int64_t row, int64_t n, int64_t d, int64_t size) {
    if (row >= n || d >= size) return Vec<Word>{};
    const E* x = from.data + row * from.row_stride + d;
    if constexpr (kPack == 1) {
      return load_up_to(x, size - d);
    } else {
      return pair_words(load_up_to(x, size - d), row + 1 < n ? load_up_to(x + from.row_stride, size - d) : Vec<C>{});
    }
  }

  /// One vector of words from the parts at k and (where words are pairs) k + 1.
  static MOELORA_INLINE Vec<Word> pair_words(Vec<C> first, Vec<C> second) {
    if constexpr (kPack == 1) {
      (void)second;
      return first;
    } else {
      const Vec<uint32_t> low = __builtin_convertvector(to_bf16(first), Vec<uint32_t>);
      const Vec<uint32_t> high = __builtin_convertvector(to_bf16(second), Vec<uint32_t>);
      return low | (high << 16);
    }
  }

  /// A = rows^T for rows [begin, end), at most `span`, a multiple of kStep words: to [size rounded up to
  /// tiles][words(span)], k runs along the rows.
  static void copy_transposed(HeadRows<E> from, int64_t begin, int64_t end, int64_t span, int64_t size, Word* to) {
    const int64_t stride = words(span), tall = round_up(size, kTileRows);
    for (int64_t w = 0; w < stride; w += kStep) {
      for (int64_t d = 0; d < tall; d += kStep) {
        Vec<Word> square[kStep];
        for (int64_t r = 0; r < kStep; ++r) square[r] = words_down(from, begin + (w + r) * kPack, end, d, size);
        transpose<Word>(square);
        for (int64_t r = 0; r < least(kStep, tall - d); ++r)
          std::memcpy(to + (d + r) * stride + w, &square[r], sizeof(square[r]));
      }
    }
  }
};

}  // namespace
}  // namespace moelora::kernels
