#include "generate/kv_cache.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "core/error.h"

namespace moelora::generate {

SequenceCache::SequenceCache(const nn::ModelConfig& config, int64_t capacity)
    : capacity_(capacity), lengths_(config.layers, 0) {}

void SequenceCache::append(int64_t layer, const at::Tensor& k, const at::Tensor& v) {
  const int64_t length = lengths_.at(layer), rows = k.size(0);
  if (length + rows > capacity_) {
    throw Error(ErrorKind::kInternal, {.where = "key/value cache",
                                       .problem = "more positions than it has room for",
                                       .found = std::to_string(length + rows),
                                       .expected = "at most " + std::to_string(capacity_)});
  }
  if (keys_.empty()) {
    const int64_t layers = static_cast<int64_t>(lengths_.size());
    const at::Tensor storage = at::empty({layers, 2, capacity_, k.size(1), k.size(2)}, k.options());
    for (int64_t i = 0; i < layers; ++i) {
      keys_.push_back(storage.select(0, i).select(0, 0));
      values_.push_back(storage.select(0, i).select(0, 1));
    }
  }
  keys_[layer].narrow(0, length, rows).copy_(k);
  values_[layer].narrow(0, length, rows).copy_(v);
  lengths_[layer] += rows;
}

CachedAttention::CachedAttention(std::vector<SequenceCache*> caches, std::vector<int64_t> cu_seqlens)
    : caches_(std::move(caches)), cu_seqlens_(std::move(cu_seqlens)) {}

at::Tensor CachedAttention::attend(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const kernels::AttentionOptions& options) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> keys, values;
  for (size_t s = 0; s < caches_.size(); ++s) {
    const int64_t begin = cu_seqlens_[s], rows = cu_seqlens_[s + 1] - begin;
    caches_[s]->append(layer, k.narrow(0, begin, rows), v.narrow(0, begin, rows));
    keys.push_back(caches_[s]->keys(layer));
    values.push_back(caches_[s]->values(layer));
  }
  return kernels::cached_attention(q, cu_seqlens_, keys, values, options);
}

}  // namespace moelora::generate
