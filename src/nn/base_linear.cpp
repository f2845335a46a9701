#include "nn/base_linear.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "core/work_timer.h"
#include "kernels/few_rows.h"

namespace moelora::nn {

void accumulate_product(const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx) {
  if (dx.defined()) {
    dx.addmm_(dy, weight);
  } else {
    dx = at::mm(dy, weight);
  }
}

at::Tensor PlainLinear::forward(const at::Tensor& x) const {
  const WorkTimer timer(Work::kMatrix);
  const at::Tensor weight = dense_weight(), added = bias();
  if (kernels::takes_few_rows(x, weight)) return kernels::few_rows_linear(x, weight, added);
  return at::linear(x, weight, added);
}

void PlainLinear::accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const {
  const WorkTimer timer(Work::kMatrix);
  accumulate_product(dy, dense_weight(), dx);
}

std::vector<WeightPtr> PlainLinear::trainable_weights() const {
  std::vector<WeightPtr> weights;
  for (const WeightPtr& weight : {weight_, bias_}) {
    if (weight && weight->trainable()) weights.push_back(weight);
  }
  return weights;
}

}  // namespace moelora::nn
