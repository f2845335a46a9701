#include "kernels/rope.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/work_timer.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum class Direction { kForward = 1, kBack = -1 };

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, Direction direction,
                  RopeLayout layout) {
  const WorkTimer timer(Work::kElementwise);
  const at::Tensor from = x.size(2) == 1 || x.stride(2) == 1 ? x : x.contiguous();
  const at::Tensor out = at::empty(x.sizes(), x.options());
  const int64_t rows = x.size(0), heads = x.size(1), size = x.size(2), half = cos.size(1);
  with_element(x, [&]<class E>() {
    using C = Compute<E>;
    parallel_rows(rows, 2 * heads * size, [&](int64_t begin, int64_t end) {
      passes_for<E>().rope(elements<E>(from) + begin * from.stride(0), from.stride(0), from.stride(1),
                           elements<C>(cos) + begin * half, elements<C>(sin) + begin * half,
                           mutable_elements<E>(out) + begin * heads * size, end - begin, heads, size, half,
                           static_cast<int>(direction), layout == RopeLayout::kPairs);
    });
  });
  return out;
}

struct Rope : torch::autograd::Function<Rope> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                            RopeLayout layout) {
    ctx->save_for_backward({cos, sin});
    ctx->saved_data["layout"] = static_cast<int64_t>(layout);
    return rotate(x, cos, sin, Direction::kForward, layout);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const auto layout = static_cast<RopeLayout>(ctx->saved_data["layout"].toInt());
    return {rotate(gradients[0], saved[0], saved[1], Direction::kBack, layout), at::Tensor(), at::Tensor(),
            at::Tensor()};
  }
};

at::Tensor composite(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, RopeLayout layout) {
  const int64_t half = cos.size(1);
  const at::Tensor wide = x.to(compute_type(x)), c = cos.unsqueeze(1), s = sin.unsqueeze(1);
  const at::Tensor turning = wide.narrow(2, 0, 2 * half), rest = wide.narrow(2, 2 * half, x.size(2) - 2 * half);
  // [T, heads, 2, half] or [T, heads, half, 2]: the pairs' members lie along `members`.
  const bool pairs = layout == RopeLayout::kPairs;
  const int64_t members = pairs ? 3 : 2;
  const at::Tensor split = pairs ? turning.unflatten(2, {half, 2}) : turning.unflatten(2, {2, half});
  const at::Tensor low = split.select(members, 0), high = split.select(members, 1);
  const at::Tensor turned = at::stack({low.mul(c).sub(high.mul(s)), high.mul(c).add(low.mul(s))}, members).flatten(2);
  return at::cat({turned, rest}, 2).to(x.scalar_type());
}

}  // namespace

at::Tensor rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, RopeLayout layout) {
  require(x.dim() == 3, "rope", "x [T, heads, D]", x);
  require(cos.dim() == 2 && cos.size(0) == x.size(0) && 2 * cos.size(1) <= x.size(2), "rope",
          "cos [T, rot / 2], rot <= D", cos);
  require(sin.sizes() == cos.sizes(), "rope", "sin like cos", sin);
  if (!has_passes(x)) return composite(x, cos, sin, layout);
  const at::Tensor c = cos.to(compute_type(x)).contiguous(), s = sin.to(compute_type(x)).contiguous();
  return wants_gradient({&x}) ? Rope::apply(x, c, s, layout) : rotate(x, c, s, Direction::kForward, layout);
}

}  // namespace moelora::kernels
