#include "adapters/collapse.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/index_select.h>

#include "adapters/adapted_projection.h"

namespace moelora::adapters {

CollapsedLinear collapse(const MemberAdapter& adapter, double scale, int64_t task) {
  const at::NoGradGuard no_grad;
  const at::Tensor weights = adapter.mixer->task_weights(task).mul(scale);  // [R]
  const at::Tensor a = adapter.a.detach(), b = adapter.b.detach().mul(weights);
  const at::Tensor used = adapter.mixer->task_columns(task);
  if (used.defined()) return {adapter.path, at::index_select(a, 0, used), at::index_select(b, 1, used)};
  return {adapter.path, a.clone(), b};
}

at::Tensor merged_weight(const at::Tensor& pristine, const CollapsedLinear& adapter) {
  const at::NoGradGuard no_grad;
  const at::ScalarType wide = pristine.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::addmm(pristine.to(wide), adapter.b.to(wide), adapter.a.to(wide)).to(pristine.scalar_type());
}

}  // namespace moelora::adapters
