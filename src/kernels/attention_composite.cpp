#include "kernels/attention_composite.h"

#include <ATen/ops/arange.h>

#include <limits>

#include "kernels/tensor_args.h"

namespace moelora::kernels {

at::Tensor composite_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const AttentionOptions& options) {
  const at::ScalarType type = compute_type(q);
  const int64_t group = q.size(1) / std::max<int64_t>(1, k.size(1)), length = k.size(0), n = q.size(0);
  const auto heads_first = [&](const at::Tensor& x) { return x.to(type).transpose(0, 1); };
  at::Tensor scores =
      heads_first(q).mul(options.scale).matmul(heads_first(k).repeat_interleave(group, 0).transpose(1, 2));
  if (options.softcap > 0) scores = scores.div(options.softcap).tanh().mul(options.softcap);
  const auto counts = q.options().dtype(at::kLong);
  const at::Tensor key = at::arange(length, counts).unsqueeze(0),
                   position = at::arange(length - n, length, counts).unsqueeze(1);
  at::Tensor hidden = key.gt(position);
  if (options.window > 0) hidden = hidden.logical_or(key.le(position.sub(options.window)));
  scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  const at::Tensor values = heads_first(v).repeat_interleave(group, 0);
  return scores.softmax(-1).matmul(values).transpose(0, 1).to(q.scalar_type());
}

}  // namespace moelora::kernels
