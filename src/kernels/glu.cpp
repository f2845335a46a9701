#include "kernels/glu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/work_timer.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum class Gate { kSilu, kGelu };

at::Tensor forward(const at::Tensor& gate, const at::Tensor& up, Gate kind) {
  const WorkTimer timer(Work::kElementwise);
  const at::Tensor y = at::empty(gate.sizes(), gate.options());
  const int64_t width = gate.size(1);
  with_element(gate, [&]<class E>() {
    parallel_rows(gate.size(0), 8 * width, [&](int64_t begin, int64_t end) {
      passes_for<E>().glu_forward(elements<E>(gate) + begin * gate.stride(0), gate.stride(0),
                                  elements<E>(up) + begin * up.stride(0), up.stride(0),
                                  mutable_elements<E>(y) + begin * width, end - begin, width, kind == Gate::kGelu);
    });
  });
  return y;
}

struct Glu : torch::autograd::Function<Glu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate, const at::Tensor& up, Gate kind) {
    ctx->save_for_backward({gate, up});
    ctx->saved_data["gelu"] = kind == Gate::kGelu;
    return kernels::forward(gate, up, kind);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const WorkTimer timer(Work::kElementwise);
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1], dy = gradients[0].contiguous();
    const at::Tensor dgate = at::empty(gate.sizes(), gate.options()), dup = at::empty(gate.sizes(), gate.options());
    const int64_t width = gate.size(1);
    const bool gelu = ctx->saved_data["gelu"].toBool();
    with_element(gate, [&]<class E>() {
      parallel_rows(gate.size(0), 12 * width, [&](int64_t begin, int64_t end) {
        passes_for<E>().glu_backward(elements<E>(dy) + begin * width, elements<E>(gate) + begin * gate.stride(0),
                                     gate.stride(0), elements<E>(up) + begin * up.stride(0), up.stride(0),
                                     mutable_elements<E>(dgate) + begin * width,
                                     mutable_elements<E>(dup) + begin * width, end - begin, width, gelu);
      });
    });
    return {dgate, dup, at::Tensor()};
  }
};

at::Tensor glu(const at::Tensor& gate, const at::Tensor& up, Gate kind) {
  require(gate.dim() == 2, "glu", "gate [T, I]", gate);
  require(up.sizes() == gate.sizes() && up.scalar_type() == gate.scalar_type(), "glu", "up like gate", up);
  if (!has_passes(gate)) return (kind == Gate::kGelu ? at::gelu(gate, "tanh") : at::silu(gate)).mul(up);
  const at::Tensor g = dense_rows(gate), u = dense_rows(up);
  return wants_gradient({&gate, &up}) ? Glu::apply(g, u, kind) : forward(g, u, kind);
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  return glu(gate, up, Gate::kSilu);
}

at::Tensor geglu(const at::Tensor& gate, const at::Tensor& up) {
  return glu(gate, up, Gate::kGelu);
}

}  // namespace moelora::kernels
