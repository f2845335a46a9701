// Blocked causal attention, written once over simd.h and compiled by each level file.
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
struct Attention {
  using E = typename M::E;
  using C = typename M::C;
  using Word = typename M::Word;
  using Part = typename M::Part;
  static constexpr int64_t kPack = M::kPack;
  static constexpr int64_t kStep = kLanes<C>;
  static constexpr int64_t kColumns = kTileVectors * kStep;  // of a panel
  static constexpr int64_t kKeyBlock = 256;                  // keys between two rescalings of the online softmax
  static constexpr int64_t kBackKeys = 96;                   // keys whose share of dq is accumulated at once
  static constexpr int64_t kBackQueries = 256;
  static constexpr C kLowest = -__builtin_inf();

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

  // ---- packing
  // -------------------------------------------------------------------------------------------------------------

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

  /// A = rows^T for rows [begin, end): to [size rounded up to tiles][words(kBackKeys)], k runs along the rows.
  static void copy_transposed(HeadRows<E> from, int64_t begin, int64_t end, int64_t size, Word* to) {
    const int64_t stride = words(kBackKeys), tall = round_up(size, kTileRows);
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

  static int64_t packed_bytes(int64_t keys, int64_t size) {
    return (panels(keys) * words(size) + panels(size) * words(keys)) * kColumns * static_cast<int64_t>(sizeof(Word));
  }
  static void pack(HeadRows<E> k, HeadRows<E> v, int64_t keys, int64_t size, void* packed) {
    Word* to = static_cast<Word*>(packed);
    pack_transposed(k, keys, size, to);
    pack_rows(v, keys, size, to + panels(keys) * words(size) * kColumns);
  }

  // ---- forward
  // -------------------------------------------------------------------------------------------------------------

  static int64_t forward_scratch_bytes(int64_t size) {
    return kTileRows * (words(size) * static_cast<int64_t>(sizeof(Word)) +
                        (2 * kKeyBlock + padded(size)) * static_cast<int64_t>(sizeof(C))) +
           64;
  }

  static MOELORA_INLINE Vec<C> capped_score(Vec<C> s, const AttentionShape& shape) {
    return static_cast<C>(shape.softcap) * tanh_of(s * static_cast<C>(shape.scale / shape.softcap));
  }
  static MOELORA_INLINE int64_t first_key(const AttentionShape& shape, int64_t position) {
    return shape.window > 0 ? most(0, position - shape.window + 1) : 0;
  }

  static void forward(const AttentionShape& shape, QueryRows<const E> q, QueryRows<E> out, QueryRows<C> lse,
                      int64_t begin, int64_t end, int64_t offset, int64_t keys, const void* packed, void* scratch) {
    const int64_t size = shape.head_size, depth = words(size), width = padded(size);
    const Word* keys_packed = static_cast<const Word*>(packed);
    const Word* values_packed = keys_packed + panels(keys) * depth * kColumns;
    C* scores = static_cast<C*>(scratch);                               // [kTileRows][kKeyBlock]
    C* sums = scores + kTileRows * kKeyBlock;                           // [kTileRows][width]
    Word* weights = reinterpret_cast<Word*>(sums + kTileRows * width);  // [kTileRows][kKeyBlock / kPack]
    Word* queries = weights + kTileRows * kKeyBlock / kPack;            // [kTileRows][depth]
    for (int64_t row = begin; row < end; row += kTileRows) {
      const int64_t rows = least(kTileRows, end - row);
      for (int64_t r = 0; r < kTileRows; ++r) {
        const E* from =
            q.row(row + least(r, rows - 1));  // past the last row: anything finite or not, its results are dropped
        copy_rows({from, 0}, 0, 1, 1, size, queries + r * depth);
      }
      const auto position = [&](int64_t r) { return offset + (row + r) / q.group; };
      C top[kTileRows], total[kTileRows];
      for (int r = 0; r < kTileRows; ++r) top[r] = kLowest, total[r] = 0;
      const int64_t stop = position(rows - 1) + 1;  // keys past this are seen by no row of the tile
      bool started = false;
      for (int64_t key = first_key(shape, position(0)) / kColumns * kColumns; key < stop; key += kKeyBlock) {
        const int64_t count = least(kKeyBlock, stop - key);
        for (int64_t c = 0; c < count; c += kColumns) {
          tile(queries, depth, keys_packed + (key + c) * depth, depth, scores + c, kKeyBlock, false);
        }
        softmax_block(shape, position, rows, key, count, scores, weights, top, total, sums, width, started);
        for (int64_t c = 0; c < width; c += kColumns) {
          tile(weights, kKeyBlock / kPack, values_packed + c * words(keys) + key / kPack * kColumns, words(count),
               sums + c, width, started);
        }
        started = true;
      }
      for (int64_t r = 0; r < rows; ++r) {
        const C inverse = 1 / total[r];
        for (int64_t d = 0; d < size; d += kStep) {
          store_up_to(out.row(row + r) + d, load(sums + r * width + d) * inverse, size - d);
        }
        if (lse.data != nullptr) *lse.row(row + r) = top[r] + log_of(total[r]);
      }
    }
  }

  /// Turns the scores of keys [key, key + count) into weights relative to each row's running maximum, rescaling what
  /// came before.
  template <class Position>
  static MOELORA_INLINE void softmax_block(const AttentionShape& shape, const Position& position, int64_t rows,
                                           int64_t key, int64_t count, C* scores, Word* weights, C* top, C* total,
                                           C* sums, int64_t width, bool started) {
    const C scale = shape.softcap > 0 ? C{1} : static_cast<C>(shape.scale);  // capped scores are stored scaled
    const int64_t filled = round_up(count, kPack);
    for (int64_t r = 0; r < rows; ++r) {
      C* s = scores + r * kKeyBlock;
      Part* p = reinterpret_cast<Part*>(weights + r * (kKeyBlock / kPack));
      const int64_t low = most(0, first_key(shape, position(r)) - key);  // seen: [low, high)
      const int64_t high = least(count, position(r) + 1 - key);
      const int64_t padded_count = round_up(count, kStep);
      if (high <= low) {
        std::memset(p, 0, static_cast<size_t>(filled) * sizeof(Part));
        continue;
      }
      for (int64_t i = high; i < padded_count; ++i) s[i] = kLowest;
      for (int64_t i = 0; i < low; ++i) s[i] = kLowest;
      Vec<C> highest = splat(kLowest);
      for (int64_t i = 0; i < high; i += kStep) {
        Vec<C> v = load(s + i);
        if (shape.softcap > 0) {
          const Vec<C> capped = capped_score(v, shape);
          v = v == kLowest ? v : capped;
          store(s + i, v);
        }
        highest = max_of(highest, v * scale);
      }
      const C here = max_lane<C>(highest);
      if (here > top[r]) {
        if (started && top[r] != kLowest) {
          const C shrink = exp_of(top[r] - here);
          total[r] *= shrink;
          for (int64_t d = 0; d < width; d += kStep) store(sums + r * width + d, load(sums + r * width + d) * shrink);
        }
        top[r] = here;
      }
      Vec<C> sum = {};
      int64_t i = 0;
      for (; i < high; i += kStep) {
        const Vec<C> e = exp_of(load(s + i) * scale - top[r]);
        sum += e;
        store(p + i, e);
      }
      if (i < filled) std::memset(p + i, 0, static_cast<size_t>(filled - i) * sizeof(Part));
      total[r] += sum_of<C>(sum);
    }
    for (int64_t r = rows; r < kTileRows; ++r) {
      std::memset(weights + r * (kKeyBlock / kPack), 0, static_cast<size_t>(filled) * sizeof(Part));
    }
  }

  // ---- backward
  // ------------------------------------------------------------------------------------------------------------
  //
  // With P = exp(score - lse) and delta = rowsum(dout * out): dv = P^T dout, dscore = P * (dout v^T - delta), dk =
  // dscore^T q * scale, dq = dscore k * scale. Keys are the rows of every tile (P^T, dscore^T), so that P^T and
  // dscore^T come out as the A of the dv and dk products; dscore also goes, packed, into the product that gives dq
  // transposed.

  struct BackwardBuffers {
    Word *q_columns, *dout_columns, *q_rows, *dout_rows;  // packed B: transposed, and as rows
    Word *k, *v, *k_transposed;                           // A, of one block of keys
    C *scores, *products;                                 // [kTileRows][kBackQueries]
    Word *weights, *gradients;                            // [kTileRows][kBackQueries / kPack]
    Word* gradients_packed;                               // B: [panels(kBackQueries)][words(kBackKeys)][kColumns]
    C *dq, *lse, *delta;                                  // [round_up(size, kTileRows)][padded(n)], [padded(n)] twice
    int64_t bytes;

    BackwardBuffers(int64_t n, int64_t size, void* scratch) {
      const uintptr_t start = reinterpret_cast<uintptr_t>(scratch);
      uintptr_t next = start;
      const auto take = [&next]<class T>(T*& pointer, int64_t count) {
        pointer = reinterpret_cast<T*>(next);
        next += static_cast<uintptr_t>(round_up(count * static_cast<int64_t>(sizeof(T)), 64));
      };
      const int64_t depth = words(size), tall = round_up(size, kTileRows);
      take(q_columns, padded(n) * depth);
      take(dout_columns, padded(n) * depth);
      take(q_rows, padded(size) * words(padded(n)));
      take(dout_rows, padded(size) * words(padded(n)));
      take(k, kBackKeys * depth);
      take(v, kBackKeys * depth);
      take(k_transposed, tall * words(kBackKeys));
      take(scores, kTileRows * kBackQueries);
      take(products, kTileRows * kBackQueries);
      take(weights, kTileRows * kBackQueries / kPack);
      take(gradients, kTileRows * kBackQueries / kPack);
      take(gradients_packed, kBackQueries * words(kBackKeys));
      take(dq, tall * padded(n));
      take(lse, padded(n));
      take(delta, padded(n));
      bytes = static_cast<int64_t>(next - start);
    }
  };

  static int64_t backward_scratch_bytes(int64_t n, int64_t size) {
    return BackwardBuffers(n, size, nullptr).bytes;
  }
  static int64_t padded_rows(int64_t n) {
    return round_up(n, kBackKeys);
  }

  static void backward(const AttentionShape& shape, HeadRows<E> q, HeadRows<E> k, HeadRows<E> v, HeadRows<E> out,
                       HeadRows<E> dout, const C* lse, int64_t lse_stride, int64_t n, E* dq, int64_t dq_stride, C* dk,
                       C* dv, void* scratch) {
    const int64_t size = shape.head_size, depth = words(size), width = padded(size), length = padded(n);
    const BackwardBuffers b(n, size, scratch);
    pack_transposed(q, n, size, b.q_columns);
    pack_transposed(dout, n, size, b.dout_columns);
    pack_rows_padded(q, n, size, b.q_rows);
    pack_rows_padded(dout, n, size, b.dout_rows);
    for (int64_t i = 0; i < length; ++i) {
      b.lse[i] = i < n ? lse[i * lse_stride] : 0;
      b.delta[i] = i < n ? dot(dout.data + i * dout.row_stride, out.data + i * out.row_stride, size) : 0;
    }
    std::memset(b.dq, 0, static_cast<size_t>(round_up(size, kTileRows) * length) * sizeof(C));
    const int64_t row_words = words(length);  // k of a panel of q_rows and dout_rows
    for (int64_t key = 0; key < n; key += kBackKeys) {
      const int64_t keys = least(kBackKeys, n - key), key_rows = round_up(keys, kTileRows);
      copy_rows(k, key, key + keys, key_rows, size, b.k);
      copy_rows(v, key, key + keys, key_rows, size, b.v);
      copy_transposed(k, key, key + keys, size, b.k_transposed);
      // Queries that see a key of the block: [key, last key + window).
      const int64_t query_stop = shape.window > 0 ? least(n, key + keys - 1 + shape.window) : n;
      for (int64_t query = key / kColumns * kColumns; query < query_stop; query += kBackQueries) {
        const int64_t queries = round_up(least(kBackQueries, query_stop - query), kColumns);
        for (int64_t r = 0; r < key_rows; r += kTileRows) {
          // Panels of the block that see a key of this tile; elsewhere the weights are zero.
          const int64_t tile_key = key + r;
          const int64_t from = least(queries, most(0, tile_key - query) / kColumns * kColumns);
          int64_t to = queries;
          if (shape.window > 0)
            to = least(queries, round_up(most(0, tile_key + kTileRows - 1 + shape.window - query), kColumns));
          Word* packed = b.gradients_packed + r / kPack * kColumns;
          if (from >= to) {
            clear_packed(packed, 0, queries);
            continue;
          }
          clear_packed(packed, 0, from);
          clear_packed(packed, to, queries);
          for (int64_t c = from; c < to; c += kColumns) {
            tile(b.k + r * depth, depth, b.q_columns + (query + c) * depth, depth, b.scores + c, kBackQueries, false);
            tile(b.v + r * depth, depth, b.dout_columns + (query + c) * depth, depth, b.products + c, kBackQueries,
                 false);
          }
          gradient_block(shape, b, tile_key, query, from, to, packed);
          const int64_t skip = (query + from) / kPack, span = (to - from) / kPack;
          for (int64_t c = 0; c < width; c += kColumns) {
            tile(b.weights + from / kPack, kBackQueries / kPack, b.dout_rows + c * row_words + skip * kColumns, span,
                 dv + tile_key * width + c, width, true);
            tile(b.gradients + from / kPack, kBackQueries / kPack, b.q_rows + c * row_words + skip * kColumns, span,
                 dk + tile_key * width + c, width, true);
          }
        }
        for (int64_t c = 0; c < queries; c += kColumns) {
          const int64_t seen = least(key_rows, round_up(most(0, query + c + kColumns - key), kTileRows));
          for (int64_t d = 0; d < size; d += kTileRows) {
            tile(b.k_transposed + d * words(kBackKeys), words(kBackKeys), b.gradients_packed + c * words(kBackKeys),
                 words(seen), b.dq + d * length + query + c, length, true);
          }
        }
      }
    }
    for (int64_t i = 0; i < n; i += kStep) {
      for (int64_t d = 0; d < size; d += kStep) {
        Vec<C> square[kStep] = {};
        for (int64_t r = 0; r < least(kStep, size - d); ++r) square[r] = load(b.dq + (d + r) * length + i);
        transpose<C>(square);
        for (int64_t r = 0; r < least(kStep, n - i); ++r)
          store_up_to(dq + (i + r) * dq_stride + d, square[r], size - d);
      }
    }
  }

  /// pack_rows with the panels' k padded with zeros to padded(n).
  static void pack_rows_padded(HeadRows<E> from, int64_t n, int64_t size, Word* to) {
    const int64_t count = words(n), full = words(padded(n));
    for (int64_t panel = 0; panel < size; panel += kColumns, to += full * kColumns) {
      pack_rows({from.data + panel, from.row_stride}, n, least(kColumns, size - panel), to);
      std::memset(to + count * kColumns, 0, static_cast<size_t>((full - count) * kColumns) * sizeof(Word));
    }
  }

  static MOELORA_INLINE C dot(const E* x, const E* y, int64_t size) {
    Vec<C> sum = {};
    for (int64_t d = 0; d < size; d += kStep) sum += load_up_to(x + d, size - d) * load_up_to(y + d, size - d);
    return sum_of<C>(sum);
  }

  /// Zeroes one tile's rows of gradients_packed in the columns [from, to).
  static MOELORA_INLINE void clear_packed(Word* packed, int64_t from, int64_t to) {
    for (int64_t c = from; c < to; c += kColumns) {
      std::memset(packed + c * words(kBackKeys), 0, static_cast<size_t>(kTileRows / kPack * kColumns) * sizeof(Word));
    }
  }

  /// From the tile's scores and products: weights (P^T) and gradients (dscore^T), row-major, and the latter packed.
  static MOELORA_INLINE void gradient_block(const AttentionShape& shape, const BackwardBuffers& b, int64_t key,
                                            int64_t query, int64_t from, int64_t to, Word* packed) {
    const C scale = static_cast<C>(shape.scale);
    const bool masked_below = key + kTileRows - 1 > query + from;
    for (int64_t r = 0; r < kTileRows; r += kPack) {
      for (int64_t c = from; c < to; c += kStep) {
        const Vec<C> lse = load(b.lse + query + c), delta = load(b.delta + query + c);
        Vec<C> gradient[2] = {};
#pragma GCC unroll 2
        for (int64_t i = 0; i < kPack; ++i) {
          const Vec<C> raw = load(b.scores + (r + i) * kBackQueries + c);
          Vec<C> weight, slope = splat(scale);
          if (shape.softcap > 0) {
            const Vec<C> bent = tanh_of(raw * static_cast<C>(shape.scale / shape.softcap));
            slope *= 1 - bent * bent;
            weight = exp_of(static_cast<C>(shape.softcap) * bent - lse);
          } else {
            weight = exp_of(raw * scale - lse);
          }
          if (masked_below && c + query < key + r + i) {
            weight = keep(weight, key + r + i - query - c, kStep);
          }
          if (shape.window > 0) weight = keep(weight, 0, key + r + i + shape.window - query - c);
          gradient[i] = weight * (load(b.products + (r + i) * kBackQueries + c) - delta) * slope;
          store(reinterpret_cast<Part*>(b.weights + (r + i) * (kBackQueries / kPack)) + c, weight);
          store(reinterpret_cast<Part*>(b.gradients + (r + i) * (kBackQueries / kPack)) + c, gradient[i]);
        }
        Word* panel = packed + c / kColumns * kColumns * words(kBackKeys) + c % kColumns;
        const Vec<Word> gradient_words = pair_words(gradient[0], gradient[1]);
        std::memcpy(panel + r / kPack * kColumns, &gradient_words, sizeof(gradient_words));
      }
    }
  }

  /// Lanes outside [first, last) zeroed.
  static MOELORA_INLINE Vec<C> keep(Vec<C> v, int64_t first, int64_t last) {
    if (first <= 0 && last >= kStep) return v;
    C lanes[kStep];
    for (int64_t lane = 0; lane < kStep; ++lane) lanes[lane] = static_cast<C>(lane);
    const Vec<C> lane = load(lanes);
    return lane >= static_cast<C>(first) ? (lane < static_cast<C>(last) ? v : Vec<C>{}) : Vec<C>{};
  }
};

}  // namespace
}  // namespace moelora::kernels
