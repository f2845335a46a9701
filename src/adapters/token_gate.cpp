#include "adapters/token_gate.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/softmax.h>

#include <cmath>

#include "adapters/initialise.h"
#include "core/error.h"

namespace moelora::adapters {

TokenGate::TokenGate(GateOptions options, int64_t in)
    : options_(std::move(options)),
      gate_(uniform_parameter(options_.name, {options_.experts, in}, 1 / std::sqrt(static_cast<double>(in)),
                              options_.seed)) {}

at::Tensor TokenGate::row_weights(const TaskRows&, const at::Tensor& x) const {
  const at::Tensor weights = at::softmax(at::mm(x.to(gate_.scalar_type()), gate_.t()), /*dim=*/1);  // [T, N]
  return (options_.mean_one ? weights.mul(options_.experts) : weights)
      .repeat_interleave(options_.rank / options_.experts, /*dim=*/1);
}

at::Tensor TokenGate::task_weights(int64_t) const {
  throw_not_linear_in_the_task();
}
at::Tensor TokenGate::expert_weights(int64_t) const {
  throw_not_linear_in_the_task();
}

void throw_not_linear_in_the_task() {
  throw Error(ErrorKind::kModel,
              {.where = "method `molora`",
               .problem = "its gate weighs the experts anew for every token: no task has weights of its own, and no "
                          "LoRA equals it",
               .hint = "use the run itself (`moelora eval`, `moelora generate`), or train `adapter.method: moelora`, "
                       "whose gate sees the task alone"});
}

}  // namespace moelora::adapters
