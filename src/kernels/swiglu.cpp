#include "kernels/swiglu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/work_timer.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor forward(const at::Tensor& gate, const at::Tensor& up) {
  const WorkTimer timer(Work::kElementwise);
  const at::Tensor y = at::empty(gate.sizes(), gate.options());
  const int64_t width = gate.size(1);
  with_element(gate, [&]<class E>() {
    parallel_rows(gate.size(0), 8 * width, [&](int64_t begin, int64_t end) {
      passes_for<E>().swiglu_forward(elements<E>(gate) + begin * gate.stride(0), gate.stride(0),
                                     elements<E>(up) + begin * up.stride(0), up.stride(0),
                                     mutable_elements<E>(y) + begin * width, end - begin, width);
    });
  });
  return y;
}

struct Swiglu : torch::autograd::Function<Swiglu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate, const at::Tensor& up) {
    ctx->save_for_backward({gate, up});
    return kernels::forward(gate, up);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const WorkTimer timer(Work::kElementwise);
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1], dy = gradients[0].contiguous();
    const at::Tensor dgate = at::empty(gate.sizes(), gate.options()), dup = at::empty(gate.sizes(), gate.options());
    const int64_t width = gate.size(1);
    with_element(gate, [&]<class E>() {
      parallel_rows(gate.size(0), 12 * width, [&](int64_t begin, int64_t end) {
        passes_for<E>().swiglu_backward(elements<E>(dy) + begin * width, elements<E>(gate) + begin * gate.stride(0),
                                        gate.stride(0), elements<E>(up) + begin * up.stride(0), up.stride(0),
                                        mutable_elements<E>(dgate) + begin * width,
                                        mutable_elements<E>(dup) + begin * width, end - begin, width);
      });
    });
    return {dgate, dup};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  require(gate.dim() == 2, "swiglu", "gate [T, I]", gate);
  require(up.sizes() == gate.sizes() && up.scalar_type() == gate.scalar_type(), "swiglu", "up like gate", up);
  if (!has_passes(gate)) return at::silu(gate).mul(up);
  const at::Tensor g = dense_rows(gate), u = dense_rows(up);
  return wants_gradient({&gate, &up}) ? Swiglu::apply(g, u) : forward(g, u);
}

}  // namespace moelora::kernels
