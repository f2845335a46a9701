#include "bench/products.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "bench/stopwatch.h"

namespace moelora::bench {
namespace {

/// x W^T and dy W.
ProductTime sweep(const at::Tensor& weight, int64_t rows) {
  const at::Tensor x = at::zeros({rows, weight.size(1)}, weight.options());
  const at::Tensor dy = at::zeros({rows, weight.size(0)}, weight.options());
  ProductTime best{1e30, 1e30};
  for (int repeat = 0; repeat < 2; ++repeat) {
    const Stopwatch watch;
    at::linear(x, weight);
    at::mm(dy, weight);
    best.seconds = std::min(best.seconds, watch.seconds());
    best.cpu_seconds = std::min(best.cpu_seconds, watch.cpu_seconds());
  }
  return best;
}

}  // namespace

ProductTime time_products(nn::Decoder& decoder, int64_t rows, int64_t supervised_rows) {
  const at::NoGradGuard no_grad;
  ProductTime sum;
  const auto add = [&sum](const ProductTime& time) {
    sum.seconds += time.seconds;
    sum.cpu_seconds += time.cpu_seconds;
  };
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& projection) {
    for (const nn::Member& member : projection->members()) add(sweep(member.base->dense_weight(), rows));
  });
  if (supervised_rows > 0) add(sweep(decoder.head(), supervised_rows));
  return sum;
}

}  // namespace moelora::bench
