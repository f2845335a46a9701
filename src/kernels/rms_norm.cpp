#include "kernels/rms_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "core/work_timer.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kWeightGradientRows =
    64;  // rows that share a partial sum: fixed, so that no bit depends on the thread count

struct Result {
  at::Tensor y, sum, rstd;
};

Result forward(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const NormOptions& options,
               bool keep_statistics) {
  const WorkTimer timer(Work::kElementwise);
  const int64_t width = weight.numel(), rows = width == 0 ? 0 : x.numel() / width;
  Result result{at::empty_like(x), residual.defined() ? at::empty_like(x) : at::Tensor(),
                keep_statistics ? at::empty({rows}, x.options().dtype(compute_type(x))) : at::Tensor()};
  with_element(x, [&]<class E>() {
    parallel_rows(rows, 4 * width, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * width;
      const bool add = residual.defined();
      passes_for<E>().rms_norm_forward(elements<E>(x) + at, add ? elements<E>(residual) + at : nullptr,
                                       elements<E>(weight), add ? mutable_elements<E>(result.sum) + at : nullptr,
                                       mutable_elements<E>(result.y) + at,
                                       keep_statistics ? mutable_elements<Compute<E>>(result.rstd) + begin : nullptr,
                                       end - begin, width, options.epsilon, options.unit_offset);
    });
  });
  return result;
}

/// dsum may be undefined; dweight is computed where asked for.
std::pair<at::Tensor, at::Tensor> backward(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& x,
                                           const at::Tensor& weight, const at::Tensor& rstd, bool unit_offset,
                                           bool weight_gradient) {
  const WorkTimer timer(Work::kElementwise);
  const int64_t width = weight.numel(), rows = rstd.numel();
  const at::Tensor dx = at::empty_like(x);
  const int64_t parts = (rows + kWeightGradientRows - 1) / kWeightGradientRows;
  at::Tensor partial;
  if (weight_gradient) partial = at::zeros({parts, width}, rstd.options());
  with_element(x, [&]<class E>() {
    using C = Compute<E>;
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part) {
        const int64_t begin = part * kWeightGradientRows, end = std::min(rows, begin + kWeightGradientRows),
                      at = begin * width;
        passes_for<E>().rms_norm_backward(
            elements<E>(dy) + at, dsum.defined() ? elements<E>(dsum) + at : nullptr, elements<E>(x) + at,
            elements<E>(weight), elements<C>(rstd) + begin, mutable_elements<E>(dx) + at,
            weight_gradient ? mutable_elements<C>(partial) + part * width : nullptr, end - begin, width, unit_offset);
      }
    });
  });
  return {dx, weight_gradient ? partial.sum(0).to(weight.scalar_type()) : at::Tensor()};
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const std::optional<at::Tensor>& addend,
                               const at::Tensor& weight, const NormOptions& options) {
    const at::Tensor residual = addend.value_or(at::Tensor());
    const Result result = kernels::forward(x, residual, weight, options, true);
    ctx->set_materialize_grads(false);
    ctx->saved_data["weight_gradient"] = weight.requires_grad();
    ctx->saved_data["unit_offset"] = options.unit_offset;
    ctx->saved_data["add"] = residual.defined();
    ctx->save_for_backward({residual.defined() ? result.sum : x, weight, result.rstd});
    if (residual.defined()) return {result.y, result.sum};
    return {result.y};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const bool add = ctx->saved_data["add"].toBool();
    const at::Tensor dsum = add ? gradients[1] : at::Tensor();
    if (!gradients[0].defined()) return {dsum, dsum, at::Tensor(), at::Tensor()};
    const auto [dx, dweight] = kernels::backward(gradients[0].contiguous(), dsum.defined() ? dsum.contiguous() : dsum,
                                                 saved[0], saved[1], saved[2], ctx->saved_data["unit_offset"].toBool(),
                                                 ctx->saved_data["weight_gradient"].toBool());
    return {dx, add ? dx : at::Tensor(), dweight, at::Tensor()};
  }
};

at::Tensor composite(const at::Tensor& x, const at::Tensor& weight, const NormOptions& options) {
  const at::Tensor wide = x.to(compute_type(x));
  const at::Tensor normed = wide.mul(wide.mul(wide).mean(-1, true).add(options.epsilon).rsqrt());
  if (options.unit_offset) return normed.mul(weight.to(normed.scalar_type()).add(1)).to(x.scalar_type());
  return normed.to(x.scalar_type()).mul(weight).to(x.scalar_type());
}

void check(const at::Tensor& x, const at::Tensor& weight) {
  require(weight.dim() == 1, "rms_norm", "weight [H]", weight);
  require(x.dim() >= 1 && x.size(-1) == weight.size(0), "rms_norm", "x [..., H] for weight [H]", x);
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, const NormOptions& options) {
  check(x, weight);
  if (!has_passes(x) || weight.scalar_type() != x.scalar_type()) return composite(x, weight, options);
  if (wants_gradient({&x, &weight}))
    return RmsNorm::apply(x.contiguous(), std::optional<at::Tensor>(), weight.contiguous(), options)[0];
  return forward(x.contiguous(), {}, weight.contiguous(), options, false).y;
}

std::pair<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& residual,
                                               const at::Tensor& weight, const NormOptions& options) {
  check(x, weight);
  require(residual.sizes() == x.sizes() && residual.scalar_type() == x.scalar_type(), "add_rms_norm", "residual like x",
          residual);
  if (!has_passes(x) || weight.scalar_type() != x.scalar_type()) {
    const at::Tensor sum = x.add(residual);
    return {composite(sum, weight, options), sum};
  }
  if (wants_gradient({&x, &residual, &weight})) {
    const variable_list result =
        RmsNorm::apply(x.contiguous(), std::optional(residual.contiguous()), weight.contiguous(), options);
    return {result[0], result[1]};
  }
  const Result result = forward(x.contiguous(), residual.contiguous(), weight.contiguous(), options, false);
  return {result.y, result.sum};
}

}  // namespace moelora::kernels
