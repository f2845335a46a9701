#include "kernels/dropout.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "core/random.h"
#include "core/work_timer.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

DropoutRow draw_of(const DropoutKey& key) {
  const uint32_t high =
      static_cast<uint32_t>(key.seed >> 32) ^ (static_cast<uint32_t>(RandomStream::kDropout) * 0x85EBCA6Bu);
  return {.key = {static_cast<uint32_t>(key.seed) ^ (key.module * 0x9E3779B1u), high},
          .threshold = static_cast<uint32_t>(std::min(std::ldexp(key.p, 32), 4294967295.0)),
          .scale = static_cast<float>(1 / (1 - key.p))};
}

struct CounterDropout : torch::autograd::Function<CounterDropout> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const DropoutKey& key,
                            const at::Tensor& sample_key, const at::Tensor& position) {
    ctx->save_for_backward({sample_key, position});
    ctx->saved_data["p"] = key.p;
    ctx->saved_data["seed"] = static_cast<int64_t>(key.seed);
    ctx->saved_data["module"] = static_cast<int64_t>(key.module);
    return counter_dropout_raw(x, key, sample_key, position);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const DropoutKey key{.p = ctx->saved_data["p"].toDouble(),
                         .seed = static_cast<uint64_t>(ctx->saved_data["seed"].toInt()),
                         .module = static_cast<uint32_t>(ctx->saved_data["module"].toInt())};
    return {counter_dropout_raw(gradients[0], key, saved[0], saved[1]), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

void check(const at::Tensor& x, const DropoutKey& key, const at::Tensor& sample_key, const at::Tensor& position) {
  require(x.dim() == 2, "counter_dropout", "x [T, C]", x);
  for (const at::Tensor& name : {sample_key, position}) {
    require(name.dim() == 1 && name.size(0) == x.size(0) && name.scalar_type() == at::kLong && name.device().is_cpu(),
            "counter_dropout", "sample_key and position [T] int64 on the CPU", name);
  }
  if (!(key.p >= 0 && key.p < 1)) {
    throw Error(ErrorKind::kConfig, {.where = "dropout",
                                     .problem = "a probability out of range",
                                     .found = std::to_string(key.p),
                                     .expected = "0 <= p < 1"});
  }
}

/// y = D(x) and, where `dy` is given, dx += D(dy).
void run(const at::Tensor& x, const at::Tensor& y, const at::Tensor& dy, const at::Tensor& dx, const DropoutKey& key,
         const at::Tensor& sample_key, const at::Tensor& position) {
  const at::Tensor samples = sample_key.contiguous(), positions = position.contiguous();
  const DropoutRow draw = draw_of(key);
  const int64_t width = x.size(1);
  with_element(x, [&]<class E>() {
    parallel_rows(x.size(0), 8 * width, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * width;
      passes_for<E>().dropout(elements<E>(x) + at, elements<int64_t>(samples) + begin,
                              elements<int64_t>(positions) + begin, draw, mutable_elements<E>(y) + at,
                              dy.defined() ? elements<E>(dy) + at : nullptr,
                              dy.defined() ? mutable_elements<E>(dx) + at : nullptr, end - begin, width);
    });
  });
}

}  // namespace

at::Tensor counter_dropout_raw(const at::Tensor& x, const DropoutKey& key, const at::Tensor& sample_key,
                               const at::Tensor& position) {
  const WorkTimer timer(Work::kElementwise);
  check(x, key, sample_key, position);
  if (!has_passes(x)) {  // the mask is made here and moved: the same draws on every device
    const at::Tensor mask = counter_dropout_raw(at::ones(x.sizes(), at::kFloat), key, sample_key, position);
    return x.mul(mask.to(x.options()));
  }
  const at::Tensor from = x.contiguous();
  const at::Tensor y = at::empty_like(from);
  run(from, y, {}, {}, key, sample_key, position);
  return y;
}

at::Tensor counter_dropout_backward(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& dx,
                                    const DropoutKey& key, const at::Tensor& sample_key, const at::Tensor& position) {
  const WorkTimer timer(Work::kElementwise);
  check(x, key, sample_key, position);
  for (const at::Tensor& other : {dy, dx}) {
    require(other.sizes() == x.sizes() && other.scalar_type() == x.scalar_type(), "counter_dropout_backward",
            "dy and dx like x", other);
  }
  require(dx.is_contiguous(), "counter_dropout_backward", "dx contiguous", dx);
  if (!has_passes(x)) {
    dx.add_(counter_dropout_raw(dy, key, sample_key, position));
    return counter_dropout_raw(x, key, sample_key, position);
  }
  const at::Tensor from = x.contiguous();
  const at::Tensor y = at::empty_like(from);
  run(from, y, dy.contiguous(), dx, key, sample_key, position);
  return y;
}

at::Tensor counter_dropout(const at::Tensor& x, const DropoutKey& key, const at::Tensor& sample_key,
                           const at::Tensor& position) {
  if (key.p == 0) return x;
  if (wants_gradient({&x})) return CounterDropout::apply(x, key, sample_key, position);
  return counter_dropout_raw(x, key, sample_key, position);
}

}  // namespace moelora::kernels
