#include "nn/nf4_linear.h"

#include <ATen/ops/linear.h>

#include "core/work_timer.h"
#include "kernels/few_rows.h"

namespace moelora::nn {

at::Tensor Nf4Linear::forward(const at::Tensor& x) const {
  const WorkTimer timer(Work::kMatrix);
  if (x.size(0) <= kernels::kFewRows && x.stride(1) == 1) return kernels::nf4_few_rows_linear(x, weight_, bias_);
  return at::linear(x, dense_weight(), bias_);
}

void Nf4Linear::accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const {
  const WorkTimer timer(Work::kMatrix);
  accumulate_product(dy, dense_weight(), dx);
}

}  // namespace moelora::nn
