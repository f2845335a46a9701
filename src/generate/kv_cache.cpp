#include "generate/kv_cache.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "core/error.h"

namespace moelora::generate {

SequenceCache::SequenceCache(const nn::ModelConfig& config, int64_t capacity)
    : capacity_(capacity), lengths_(config.layers, 0) {}

void SequenceCache::make_room(int64_t length, const at::Tensor& like) {
  if (length > capacity_) {
    throw Error(ErrorKind::kInternal, {.where = "key/value cache",
                                       .problem = "more positions than it has room for",
                                       .found = std::to_string(length),
                                       .expected = "at most " + std::to_string(capacity_)});
  }
  if (storage_.defined()) return;
  const int64_t layers = static_cast<int64_t>(lengths_.size());
  storage_ = at::empty({layers, 2, capacity_, like.size(-2), like.size(-1)}, like.options());
}

void SequenceCache::append(int64_t layer, const at::Tensor& k, const at::Tensor& v) {
  const int64_t length = lengths_.at(layer), rows = k.size(0);
  make_room(length + rows, k);
  const at::Tensor to = storage_.select(0, layer).narrow(1, length, rows);
  to.select(0, 0).copy_(k);
  to.select(0, 1).copy_(v);
  lengths_[layer] += rows;
}

at::Tensor SequenceCache::copy(int64_t begin, int64_t n) const {
  if (begin < 0 || begin + n > length()) {
    throw Error(ErrorKind::kInternal, {.where = "key/value cache",
                                       .problem = "positions that aren't held yet",
                                       .found = std::to_string(begin + n),
                                       .expected = "at most " + std::to_string(length())});
  }
  return storage_.narrow(2, begin, n).clone(at::MemoryFormat::Contiguous);
}

void SequenceCache::append_copy(const at::Tensor& copy) {
  const int64_t begin = length(), n = copy.size(2);
  make_room(begin + n, copy);
  storage_.narrow(2, begin, n).copy_(copy);
  for (int64_t& length : lengths_) length += n;
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
