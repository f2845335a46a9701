#include "nn/packed_linear.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "core/error.h"
#include "core/threads.h"
#include "core/work_timer.h"
#include "kernels/few_rows.h"

namespace moelora::nn {
namespace {

// libtorch registers these three for its compiler and declares them in no header.

using Reorder = at::Tensor(const at::Tensor&, std::optional<int64_t>);
using Linear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                          c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
using LinearAnd = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                             std::string_view);

template <class Signature>
c10::TypedOperatorHandle<Signature> operation(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

/// weight [out, in] in the layout that suits products of some hundred rows.
at::Tensor reordered(const at::Tensor& weight) {
  constexpr int64_t kRows = 1024;
  static const auto reorder = operation<Reorder>("mkldnn::_reorder_linear_weight");
  return reorder.call(weight, kRows);
}

/// x W^T + b, W reordered.
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  static const auto linear = operation<Linear>("mkldnn::_linear_pointwise");
  return linear.call(x, weight, bias.defined() ? std::optional(bias) : std::nullopt, "none",
                     c10::List<std::optional<at::Scalar>>(), "");
}

/// x W^T + y, rounded once.
at::Tensor product_and(const at::Tensor& y, const at::Tensor& x, const at::Tensor& weight) {
  static const auto linear = operation<LinearAnd>("mkldnn::_linear_pointwise", "binary");
  return linear.call(x, y, weight, std::nullopt, "add");
}

}  // namespace

bool PackedLinear::takes(at::ScalarType dtype) {
  return at::hasMKLDNN() && (dtype == at::kFloat || (dtype == at::kBFloat16 && cpu_features().has_bf16()));
}

PackedLinear::PackedLinear(std::unique_ptr<const PlainLinear> plain, Directions directions)
    : plain_(std::move(plain)), forward_(reordered(plain_->dense_weight())) {
  if (directions == Directions::kBoth) backward_ = reordered(plain_->dense_weight().t().contiguous());
}

at::Tensor PackedLinear::forward(const at::Tensor& x) const {
  if (x.size(0) == 0 || kernels::takes_few_rows(x, plain_->dense_weight())) return plain_->forward(x);
  const WorkTimer timer(Work::kMatrix);
  return product(x, forward_, bias());
}

void PackedLinear::accumulate_input_gradient(const at::Tensor& dy, at::Tensor& dx) const {
  if (dy.size(0) == 0 || !backward_.defined()) return plain_->accumulate_input_gradient(dy, dx);
  const WorkTimer timer(Work::kMatrix);
  dx = dx.defined() ? product_and(dx, dy, backward_) : product(dy, backward_, {});
}

}  // namespace moelora::nn
