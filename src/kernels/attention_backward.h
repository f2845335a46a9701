// Attention's backward, by recomputation. Written once over simd.h and compiled by each level file.
//
// With P = exp(score - lse) and delta = rowsum(dout * out): dv = P^T dout, dscore = P * (dout v^T - delta), dk =
// dscore^T q * scale, dq = dscore k * scale. Keys are the rows of every tile (P^T, dscore^T), so that P^T and
// dscore^T come out as the A of the dv and dk products; dscore also goes, packed, into the product that gives dq
// transposed.
#pragma once

#include <cstdint>

#include "kernels/attention_tiles.h"

namespace moelora::kernels {
namespace {

template <class M>
struct AttentionBackward : AttentionTiles<M> {
  using Tiles = AttentionTiles<M>;
  using Tiles::copy_rows;
  using Tiles::copy_transposed;
  using Tiles::kColumns;
  using Tiles::kPack;
  using Tiles::kStep;
  using Tiles::pack_rows;
  using Tiles::pack_transposed;
  using Tiles::padded;
  using Tiles::pair_words;
  using Tiles::tile;
  using Tiles::words;
  using typename Tiles::C;
  using typename Tiles::E;
  using typename Tiles::Part;
  using typename Tiles::Word;
  static constexpr int64_t kBackKeys = 96;  // keys whose share of dq is accumulated at once
  static constexpr int64_t kBackQueries = 256;

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

  static int64_t backward_scratch_bytes(int64_t n, int64_t size) { return BackwardBuffers(n, size, nullptr).bytes; }
  static int64_t padded_rows(int64_t n) { return round_up(n, kBackKeys); }

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
      copy_transposed(k, key, key + keys, kBackKeys, size, b.k_transposed);
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
