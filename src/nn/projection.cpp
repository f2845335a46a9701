#include "nn/projection.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <utility>

#include "core/work_timer.h"

namespace moelora::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A frozen group: nothing is saved, backward is the sum of the members' input gradients.
struct FrozenGroup : torch::autograd::Function<FrozenGroup> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const BaseProjection* group) {
    context->saved_data["group"] = reinterpret_cast<int64_t>(group);
    variable_list outputs;
    for (const Member& member : group->members()) outputs.push_back(member.base->forward(x));
    return outputs;
  }

  static variable_list backward(AutogradContext* context, const variable_list& dy) {
    const auto* group = reinterpret_cast<const BaseProjection*>(context->saved_data["group"].toInt());
    at::Tensor dx;
    for (size_t i = 0; i < dy.size(); ++i) {
      if (dy[i].defined()) group->members()[i].base->accumulate_input_gradient(dy[i], dx);
    }
    return {dx, at::Tensor()};
  }
};

}  // namespace

std::vector<kernels::FewRowsLinear> few_rows_linears(const std::vector<Member>& members) {
  std::vector<kernels::FewRowsLinear> linears;
  for (const Member& member : members) {
    const at::Tensor weight = member.base->streamed_weight();
    const bool is_there = weight.defined() && weight.is_contiguous();  // a base of which only the shape is known isn't
    if (!is_there || !weight.device().is_cpu() || !member.base->trainable_weights().empty()) return {};
    linears.push_back({.w = weight, .bias = member.base->bias(), .b = {}});
  }
  return linears;
}

void BaseProjection::refresh() {
  const auto trainable = [](const Member& member) { return !member.base->trainable_weights().empty(); };
  trained_ = std::ranges::any_of(members_, trainable);
  few_rows_.reset();
  if (auto linears = few_rows_linears(members_); !linears.empty()) few_rows_.emplace(std::move(linears));
}

std::vector<at::Tensor> BaseProjection::forward(const at::Tensor& x, const RowContext*) const {
  if (few_rows_ && few_rows_->takes(x)) {
    const WorkTimer timer(Work::kMatrix);
    return few_rows_->multiply(x);
  }
  if (!trained_ && x.requires_grad() && at::GradMode::is_enabled()) return FrozenGroup::apply(x, this);
  const bool differentiable = trained_ && at::GradMode::is_enabled();
  std::vector<at::Tensor> outputs;
  for (const Member& member : members_) {
    outputs.push_back(differentiable ? at::linear(x, member.base->dense_weight(), member.base->bias())
                                     : member.base->forward(x));
  }
  return outputs;
}

}  // namespace moelora::nn
