#include "adapters/adapted_group.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>

#include "core/work_timer.h"
#include "kernels/few_rows.h"
#include "kernels/row_scale.h"
#include "kernels/thin_products.h"

namespace moelora::adapters {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Order of AdaptedGroup::forward's differentiable arguments.
enum Argument { kX, kStack, kWeights, kFirstB };

/// D: the rows' dropout, or nothing where they carry no names for its draws (evaluation) or p is 0. Its own backward.
at::Tensor drop(const at::Tensor& x, const kernels::DropoutKey& key, const at::Tensor& sample_keys,
                const at::Tensor& positions) {
  return key.p > 0 && sample_keys.defined() ? kernels::counter_dropout_raw(x, key, sample_keys, positions) : x;
}

/// u = s z ⊙ m; no weights: all are 1.
at::Tensor weigh(const at::Tensor& z, const at::Tensor& weights, double scale) {
  return weights.defined() ? kernels::row_scale(z, weights, scale) : z.mul(scale);
}

}  // namespace

AdaptedGroup::Outputs AdaptedGroup::compute(const at::Tensor& x, const std::optional<at::Tensor>& weights,
                                            const AdaptedProjection& p, const TaskRows& rows, bool wants_z) {
  const WorkTimer timer(Work::kAdapter);
  const int64_t rank = p.options_.rank;
  const at::Tensor dropped = drop(x, p.options_.dropout, rows.sample_keys(), rows.positions());
  const bool few = kernels::takes_few_rows(dropped, p.stack_compute_);
  // Whether a gradient is wanted or not, so that recomputing gives the same bits.
  const bool grouped = few && p.few_rows_ && dropped.is_same(x);
  at::Tensor z;  // [T, n R]
  if (!grouped || wants_z) {
    z = few ? kernels::few_rows_linear(dropped, p.stack_compute_, {})
            : kernels::thin_project(dropped, p.stack_compute_);
  }
  if (grouped) {
    const WorkTimer matrix(Work::kMatrix);
    return {p.few_rows_->multiply(x, weights.value_or(at::Tensor())), z};
  }
  const at::Tensor u = weigh(z, weights.value_or(at::Tensor()), p.options_.scale);
  variable_list outputs;
  for (const nn::Member& member : p.members()) outputs.push_back(member.base->forward(x));
  for (size_t i = 0; i < p.adapters_.size(); ++i) {
    const at::Tensor u_i = u.narrow(1, i * rank, rank);
    if (few) {
      kernels::few_rows_add(u_i, p.b_compute_[i], outputs[p.adapters_[i].member]);
    } else {
      outputs[p.adapters_[i].member].addmm_(u_i, p.b_compute_[i]);
    }
  }
  return {std::move(outputs), z};
}

variable_list AdaptedGroup::forward(AutogradContext* context, const at::Tensor& x, const at::Tensor&,
                                    const std::optional<at::Tensor>& weights, at::TensorList,
                                    const AdaptedProjection* projection, const TaskRows* rows) {
  Outputs outputs = compute(x, weights, *projection, *rows, /*wants_z=*/true);
  context->save_for_backward({x, outputs.z, weights ? *weights : at::Tensor(), rows->sample_keys(), rows->positions()});
  context->saved_data["projection"] = reinterpret_cast<int64_t>(projection);
  return std::move(outputs.y);
}

variable_list AdaptedGroup::backward(AutogradContext* context, const variable_list& dy) {
  const WorkTimer timer(Work::kAdapter);
  const variable_list saved = context->get_saved_variables();
  const at::Tensor &x = saved[0], &z = saved[1], &weights = saved[2], &sample_keys = saved[3], &positions = saved[4];
  // saved_data has no pointers. NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto& p = *reinterpret_cast<const AdaptedProjection*>(context->saved_data["projection"].toInt());
  const int64_t rank = p.options_.rank;
  const at::Tensor u = weigh(z, weights, p.options_.scale);

  variable_list gradients(kFirstB + p.adapters_.size() + 2);  // the last two: projection and rows
  const at::Tensor du = at::empty_like(z);                    // [T, n R]
  for (size_t i = 0; i < p.adapters_.size(); ++i) {
    const at::Tensor& dy_i = dy[p.adapters_[i].member];
    const at::Tensor du_i = du.narrow(1, i * rank, rank);
    if (!dy_i.defined()) {
      du_i.zero_();
      continue;
    }
    gradients[kFirstB + i] = kernels::thin_gradients(dy_i, p.b_compute_[i], u.narrow(1, i * rank, rank), du_i)
                                 .to(p.adapters_[i].b.scalar_type());
  }
  at::Tensor dz;
  if (weights.defined()) {
    auto [dz_scaled, dm] = kernels::row_scale_backward(du, z, weights.mul(p.options_.scale));
    dz = std::move(dz_scaled);
    gradients[kWeights] = dm.mul(p.options_.scale);
  } else {
    dz = du.mul(p.options_.scale);
  }
  at::Tensor dx;
  if (context->needs_input_grad(kX)) {
    for (size_t i = 0; i < dy.size(); ++i) {
      if (dy[i].defined()) p.members()[i].base->accumulate_input_gradient(dy[i], dx);
    }
  }
  at::Tensor dropped;
  if (dx.defined() && p.options_.dropout.p > 0 && sample_keys.defined()) {  // one draw for both
    dropped = kernels::counter_dropout_backward(x, at::mm(dz, p.stack_compute_), dx, p.options_.dropout, sample_keys,
                                                positions);
  } else {
    dropped = drop(x, p.options_.dropout, sample_keys, positions);
    if (dx.defined()) dx.addmm_(dz, p.stack_compute_);
  }
  gradients[kStack] = kernels::thin_gradient(dz, dropped).to(p.stack_.scalar_type());
  gradients[kX] = dx;
  return gradients;
}

}  // namespace moelora::adapters
