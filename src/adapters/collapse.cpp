#include "adapters/collapse.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>

#include "adapters/adapted_projection.h"

namespace moelora::adapters {

CollapsedLinear collapse(const MemberAdapter& adapter, double scale, int64_t task) {
  const at::NoGradGuard no_grad;
  const at::Tensor columns = adapter.mixer->task_weights(task).mul(scale);  // [R]
  return {adapter.path, adapter.a.detach().clone(), adapter.b.detach().mul(columns)};
}

at::Tensor merged_weight(const at::Tensor& pristine, const CollapsedLinear& adapter) {
  const at::NoGradGuard no_grad;
  const at::ScalarType wide = pristine.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::addmm(pristine.to(wide), adapter.b.to(wide), adapter.a.to(wide)).to(pristine.scalar_type());
}

}  // namespace moelora::adapters
