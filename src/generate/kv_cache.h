// The keys and values of sequences that are being generated, and attention over them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/attention_state.h"
#include "nn/model_config.h"

namespace moelora::generate {

/// Keys and values of every layer of one sequence, contiguous, with room for a known number of positions. Memory is
/// taken from the system page by page as positions are filled (on the CPU).
class SequenceCache {
 public:
  SequenceCache(const nn::ModelConfig& config, int64_t capacity);

  /// Appends k and v [n, kv_heads, head_dim] to a layer's. Throws Error (kInternal) beyond the capacity.
  void append(int64_t layer, const at::Tensor& k, const at::Tensor& v);

  /// All positions of a layer so far, [length, kv_heads, head_dim]; views.
  at::Tensor keys(int64_t layer) const { return layer_of(layer, 0); }
  at::Tensor values(int64_t layer) const { return layer_of(layer, 1); }

  /// A copy of positions [begin, begin + n), which every layer holds: [layers, 2 (keys, values), n, kv_heads,
  /// head_dim].
  at::Tensor copy(int64_t begin, int64_t n) const;
  /// Appends such a copy to every layer's.
  void append_copy(const at::Tensor& copy);

  int64_t capacity() const { return capacity_; }
  /// Positions that every layer holds: between two steps, all of them.
  int64_t length() const { return lengths_.back(); }

 private:
  at::Tensor layer_of(int64_t layer, int64_t half) const {
    return storage_.select(0, layer).select(0, half).narrow(0, 0, lengths_.at(layer));
  }
  void make_room(int64_t length, const at::Tensor& like);

  int64_t capacity_;
  std::vector<int64_t> lengths_;  // [layers]
  at::Tensor storage_;            // [layers, 2, capacity, kv_heads, head_dim], made by the first append
};

/// One step's sequences over their caches: new rows are appended to the cache, then see all of it that is causal.
/// Without gradient.
class CachedAttention : public nn::AttentionState {
 public:
  /// caches[s] is of the sequence with rows cu_seqlens[s] to cu_seqlens[s + 1] - 1 of the step, the positions that
  /// follow those it holds. The caches must outlive this.
  CachedAttention(std::vector<SequenceCache*> caches, std::vector<int64_t> cu_seqlens);

  at::Tensor attend(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const kernels::AttentionOptions& options) override;

 private:
  std::vector<SequenceCache*> caches_;
  std::vector<int64_t> cu_seqlens_;
};

}  // namespace moelora::generate
