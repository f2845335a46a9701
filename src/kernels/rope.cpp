#include "kernels/rope.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/work_timer.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum class Direction { kForward = 1, kBack = -1 };

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, Direction direction) {
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
                           static_cast<int>(direction));
    });
  });
  return out;
}

struct Rope : torch::autograd::Function<Rope> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
    ctx->save_for_backward({cos, sin});
    return rotate(x, cos, sin, Direction::kForward);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    return {rotate(gradients[0], saved[0], saved[1], Direction::kBack), at::Tensor(), at::Tensor()};
  }
};

at::Tensor composite(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const int64_t half = cos.size(1);
  const at::Tensor wide = x.to(compute_type(x)), c = cos.unsqueeze(1), s = sin.unsqueeze(1);
  const at::Tensor low = wide.narrow(2, 0, half), high = wide.narrow(2, half, half);
  const at::Tensor rest = wide.narrow(2, 2 * half, x.size(2) - 2 * half);
  return at::cat({low.mul(c).sub(high.mul(s)), high.mul(c).add(low.mul(s)), rest}, 2).to(x.scalar_type());
}

}  // namespace

at::Tensor rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  require(x.dim() == 3, "rope", "x [T, heads, D]", x);
  require(cos.dim() == 2 && cos.size(0) == x.size(0) && 2 * cos.size(1) <= x.size(2), "rope",
          "cos [T, rot / 2], rot <= D", cos);
  require(sin.sizes() == cos.sizes(), "rope", "sin like cos", sin);
  if (!has_passes(x)) return composite(x, cos, sin);
  const at::Tensor c = cos.to(compute_type(x)).contiguous(), s = sin.to(compute_type(x)).contiguous();
  return wants_gradient({&x}) ? Rope::apply(x, c, s) : rotate(x, c, s, Direction::kForward);
}

}  // namespace moelora::kernels
