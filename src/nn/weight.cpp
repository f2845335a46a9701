#include "nn/weight.h"

namespace moelora::nn {

void Weight::make_trainable() {
  const at::ScalarType master = dtype_ == at::kDouble ? at::kDouble : at::kFloat;
  stored_ = stored_.detach().to(master, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true);
}

}  // namespace moelora::nn
