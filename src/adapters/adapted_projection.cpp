#include "adapters/adapted_projection.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "adapters/adapted_group.h"
#include "adapters/collapse.h"
#include "adapters/initialise.h"

namespace moelora::adapters {

AdaptedProjection::AdaptedProjection(std::unique_ptr<nn::Projection> base,
                                     std::vector<std::shared_ptr<const Mixer>> mixers, const ExpertOptions& options,
                                     at::ScalarType compute_dtype)
    : base_(std::move(base)), options_(options), compute_dtype_(compute_dtype) {
  std::vector<at::Tensor> stacked;
  for (size_t i = 0; i < mixers.size(); ++i) {
    if (!mixers[i]) continue;
    const nn::Member& member = members()[i];
    const int64_t in = member.base->in_features(), out = member.base->out_features();
    const std::string name = member.path + ".lora_A";
    stacked.push_back(options.normal_init ? normal_parameter(name, {options.rank, in}, 0.01, options.seed)
                                          : uniform_parameter(name, {options.rank, in},
                                                              1 / std::sqrt(static_cast<double>(in)), options.seed));
    adapters_.push_back({.member = i,
                         .path = member.path,
                         .b = at::zeros({out, options.rank}, at::kFloat).requires_grad_(true),
                         .mixer = mixers[i]});
  }
  {
    const at::NoGradGuard no_grad;
    stack_ = at::cat(stacked, /*dim=*/0);
    for (size_t i = 0; i < adapters_.size(); ++i) adapters_[i].a = stack_.narrow(0, i * options.rank, options.rank);
  }
  stack_.requires_grad_(true);
  one_mixer_ = std::ranges::all_of(adapters_, [&](const auto& each) { return each.mixer == adapters_.front().mixer; });
  refresh();
}

std::vector<at::Tensor> AdaptedProjection::forward(const at::Tensor& x, const nn::RowContext* context) const {
  if (!merged_.empty()) {
    std::vector<at::Tensor> outputs;
    for (const auto& linear : merged_) outputs.push_back(linear->forward(x));
    return outputs;
  }
  const auto& rows = static_cast<const TaskRows&>(*context);
  const at::Tensor weights = row_weights(rows, x);
  const std::optional<at::Tensor> given = weights.defined() ? std::optional(weights) : std::nullopt;
  if (!at::GradMode::is_enabled()) return AdaptedGroup::compute(x, given, *this, rows, /*wants_z=*/false).y;
  std::vector<at::Tensor> b;
  for (const MemberAdapter& adapter : adapters_) b.push_back(adapter.b);
  return AdaptedGroup::apply(x, stack_, given, at::TensorList(b), this, &rows);
}

at::Tensor AdaptedProjection::row_weights(const TaskRows& rows, const at::Tensor& x) const {
  const at::Tensor first = adapters_.front().mixer->row_weights(rows, x);
  if (!first.defined() || adapters_.size() == 1) return first;
  if (one_mixer_) {
    return at::GradMode::is_enabled() ? first.repeat({1, static_cast<int64_t>(adapters_.size())}) : first;
  }
  std::vector<at::Tensor> weights = {first};
  for (size_t i = 1; i < adapters_.size(); ++i) weights.push_back(adapters_[i].mixer->row_weights(rows, x));
  return at::cat(weights, /*dim=*/1);
}

std::vector<NamedTensor> AdaptedProjection::parameters() const {
  std::string stack_name = adapters_.front().path;
  for (size_t i = 1; i < adapters_.size(); ++i) stack_name += "+" + members()[adapters_[i].member].short_name();
  std::vector<NamedTensor> named = {{stack_name + ".lora_A", stack_}};
  for (const MemberAdapter& adapter : adapters_) named.emplace_back(adapter.path + ".lora_B", adapter.b);
  return named;
}

void AdaptedProjection::refresh() {
  stack_compute_ = stack_.detach().to(compute_dtype_);
  b_rows_.clear();
  b_compute_.clear();
  for (const MemberAdapter& adapter : adapters_) {
    b_rows_.push_back(adapter.b.detach().to(compute_dtype_));
    b_compute_.push_back(b_rows_.back().t().contiguous());
  }
  few_rows_.reset();
  std::vector<kernels::FewRowsLinear> linears = nn::few_rows_linears(members());
  if (linears.empty()) return;
  for (size_t i = 0; i < adapters_.size(); ++i) linears[adapters_[i].member].b = b_rows_[i];
  few_rows_.emplace(std::move(linears), stack_compute_, options_.scale);
}

void AdaptedProjection::merge(int64_t task) {
  const at::NoGradGuard no_grad;
  merged_.clear();
  std::vector<std::unique_ptr<nn::BaseLinear>> merged;
  for (size_t i = 0; i < members().size(); ++i) {
    const nn::Member& member = members()[i];
    at::Tensor weight = member.base->dense_weight();
    const auto adapter = std::ranges::find(adapters_, i, &MemberAdapter::member);
    if (adapter != adapters_.end()) weight = merged_weight(weight, collapse(*adapter, options_.scale, task));
    const at::Tensor bias = member.base->bias();
    merged.push_back(std::make_unique<nn::PlainLinear>(
        std::make_shared<nn::Weight>(member.path + ".weight", weight),
        bias.defined() ? std::make_shared<nn::Weight>(member.path + ".bias", bias) : nullptr));
  }
  merged_ = std::move(merged);
}

}  // namespace moelora::adapters
