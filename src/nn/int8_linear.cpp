#include "nn/int8_linear.h"

#include <cmath>

#include "core/error.h"
#include "core/work_timer.h"

namespace moelora::nn {

Int8Linear::Int8Linear(const std::string& name, const at::Tensor& weight, at::Tensor bias)
    : weight_(kernels::quantize_weight(weight)), bias_(std::move(bias)), dtype_(weight.scalar_type()) {
  if (!std::isfinite(weight_.scales.sum().item<float>())) {
    throw Error(ErrorKind::kModel, {.where = name,
                                    .problem = "can't be quantised",
                                    .found = "numbers that aren't finite",
                                    .expected = "finite weights"});
  }
}

at::Tensor Int8Linear::forward(const at::Tensor& x) const {
  const WorkTimer timer(Work::kMatrix);
  return kernels::int8_linear(x, weight_, bias_);
}

void Int8Linear::accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const {
  const WorkTimer timer(Work::kMatrix);
  kernels::int8_accumulate_input_gradient(dy, weight_, dx);
}

int64_t Int8Linear::weight_bytes() const {
  return static_cast<int64_t>(weight_.values.nbytes() + weight_.scales.nbytes() + weight_.sums.nbytes());
}

}  // namespace moelora::nn
