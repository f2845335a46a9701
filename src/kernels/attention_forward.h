// Attention's forward: causal, blocked, with an online softmax between the two products. Written once over simd.h and
// compiled by each level file.
#pragma once

#include <cstdint>

#include "kernels/attention_tiles.h"

namespace moelora::kernels {
namespace {

template <class M>
struct AttentionForward : AttentionTiles<M> {
  using Tiles = AttentionTiles<M>;
  using Tiles::copy_rows;
  using Tiles::kColumns;
  using Tiles::kPack;
  using Tiles::kStep;
  using Tiles::pack_rows;
  using Tiles::pack_transposed;
  using Tiles::padded;
  using Tiles::panels;
  using Tiles::tile;
  using Tiles::words;
  using typename Tiles::C;
  using typename Tiles::E;
  using typename Tiles::Part;
  using typename Tiles::Word;
  static constexpr int64_t kKeyBlock = 256;  // keys between two rescalings of the online softmax
  static constexpr C kLowest = -__builtin_inf();

  /// Keys and values of one head, as the two products take them.
  static int64_t packed_bytes(int64_t keys, int64_t size) {
    return (panels(keys) * words(size) + panels(size) * words(keys)) * kColumns * static_cast<int64_t>(sizeof(Word));
  }
  static void pack(HeadRows<E> k, HeadRows<E> v, int64_t keys, int64_t size, void* packed) {
    Word* to = static_cast<Word*>(packed);
    pack_transposed(k, keys, size, to);
    pack_rows(v, keys, size, to + panels(keys) * words(size) * kColumns);
  }

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
};

}  // namespace
}  // namespace moelora::kernels
