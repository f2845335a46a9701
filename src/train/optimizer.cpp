#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace moelora::train {

AdamW::AdamW(std::vector<NamedTensor> parameters, AdamWOptions options)
    : parameters_(std::move(parameters)), options_(options) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters_) {
    exp_avg_.push_back(at::zeros_like(parameter));
    exp_avg_sq_.push_back(at::zeros_like(parameter));
  }
}

double AdamW::gradient_norm() const {
  double sum = 0;
  for (const auto& [name, parameter] : parameters_) {
    if (!parameter.grad().defined()) continue;
    const double norm = at::linalg_vector_norm(parameter.grad()).item<double>();
    sum += norm * norm;
  }
  return std::sqrt(sum);
}

std::vector<std::string> AdamW::non_finite_gradients() const {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : parameters_) {
    if (parameter.grad().defined() && !at::isfinite(parameter.grad()).all().item<bool>()) names.push_back(name);
  }
  return names;
}

void AdamW::scale_gradients(double factor) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters_) {
    if (parameter.grad().defined()) parameter.grad().mul_(factor);
  }
}

void AdamW::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  ++steps_;
  const at::Tensor step =
      at::full({}, static_cast<double>(steps_), at::kFloat);  // the kernel wants it already incremented
  std::vector<at::Tensor> parameters, gradients, exp_avg, exp_avg_sq, steps;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].second.grad().defined()) continue;
    parameters.push_back(parameters_[i].second);
    gradients.push_back(parameters_[i].second.grad());
    exp_avg.push_back(exp_avg_[i]);
    exp_avg_sq.push_back(exp_avg_sq_[i]);
    steps.push_back(step);
  }
  at::_fused_adamw_(parameters, gradients, exp_avg, exp_avg_sq, /*max_exp_avg_sqs=*/{}, steps, learning_rate,
                    options_.beta1, options_.beta2, options_.weight_decay, options_.epsilon, /*amsgrad=*/false,
                    /*maximize=*/false);
}

void AdamW::zero_gradients() {
  for (const auto& [name, parameter] : parameters_) {
    if (parameter.grad().defined()) parameter.grad().zero_();
  }
}

std::vector<NamedTensor> AdamW::state() const {
  std::vector<NamedTensor> state;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back("exp_avg." + parameters_[i].first, exp_avg_[i]);
    state.emplace_back("exp_avg_sq." + parameters_[i].first, exp_avg_sq_[i]);
  }
  return state;
}

void AdamW::load_state(std::span<const NamedTensor> state, int64_t steps_taken) {
  adapters::copy_by_name(this->state(), {state.begin(), state.end()}, "optimizer state");
  steps_ = steps_taken;
}

}  // namespace moelora::train
