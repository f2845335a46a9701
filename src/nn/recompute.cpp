#include "nn/recompute.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <iterator>
#include <memory>

namespace moelora::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What a Function can't save as a tensor.
struct SegmentHolder : torch::CustomClassHolder {
  explicit SegmentHolder(Segment held) : segment(std::move(held)) {}
  Segment segment;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  /// `anchor` requires a gradient even where no input does (the first layer of a frozen embedding), so that backward
  /// comes here.
  static variable_list forward(AutogradContext* context, const at::Tensor& anchor, at::TensorList inputs,
                               const c10::intrusive_ptr<SegmentHolder>& holder) {
    (void)anchor;
    context->save_for_backward(inputs.vec());
    context->saved_data["segment"] = c10::IValue::make_capsule(holder);
    return holder->segment(inputs.vec());
  }

  static variable_list backward(AutogradContext* context, const variable_list& output_gradients) {
    const auto holder = c10::static_intrusive_pointer_cast<SegmentHolder>(context->saved_data["segment"].toCapsule());
    variable_list inputs;
    for (const at::Tensor& saved : context->get_saved_variables()) {
      inputs.push_back(saved.detach().requires_grad_(saved.requires_grad()));
    }
    variable_list outputs, gradients;
    {
      const at::AutoGradMode enable(true);
      const variable_list again = holder->segment(inputs);
      for (size_t i = 0; i < again.size(); ++i) {
        if (!output_gradients[i].defined() || !again[i].requires_grad()) continue;
        outputs.push_back(again[i]);
        gradients.push_back(output_gradients[i]);
      }
    }
    if (!outputs.empty()) torch::autograd::backward(outputs, gradients);
    variable_list result = {at::Tensor()};
    for (const at::Tensor& input : inputs) result.push_back(input.grad());
    result.emplace_back();
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> recompute(const Segment& segment, const std::vector<at::Tensor>& inputs) {
  const at::Tensor anchor = at::zeros({}).requires_grad_(true);
  return Recomputed::apply(anchor, at::TensorList(inputs), c10::make_intrusive<SegmentHolder>(segment));
}

std::vector<at::Tensor> recompute(const ContextSegment& segment, const std::vector<at::Tensor>& inputs,
                                  const RowContext* context) {
  if (!context) return recompute([segment](const auto& given) { return segment(given, nullptr); }, inputs);
  std::vector<at::Tensor> all = inputs;
  std::ranges::copy(context->differentiable(), std::back_inserter(all));
  const auto own = static_cast<std::ptrdiff_t>(inputs.size());
  return recompute(
      [segment, context, own](const std::vector<at::Tensor>& given) {
        const std::unique_ptr<RowContext> again = context->with({given.begin() + own, given.end()});
        return segment({given.begin(), given.begin() + own}, again.get());
      },
      all);
}

}  // namespace moelora::nn
