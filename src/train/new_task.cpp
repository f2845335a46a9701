#include "train/new_task.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "train/step.h"

namespace moelora::train {
namespace {

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kDouble).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

}  // namespace

NewTask::NewTask(OpenRun& run, const std::string& name) : run_(run), tasks_(run.saved.task_list()) {
  const config::RunConfig& config = run.saved.config;
  if (!tasks_.groups.empty()) tasks_.groups.push_back(tasks_.group_count());
  tasks_.names.push_back(name);
  run.model.decoder = run.model.take_base();
  run.model.adapters =
      std::make_unique<adapters::AdapterSet>(*run.model.decoder, config.adapter, tasks_, config.train.seed);
  for (auto& [parameter, value] : run.saved.tensors) {
    if (parameter == adapters::kTaskEmbedding) value = at::cat({value, at::zeros({1, value.size(1)}, at::kFloat)});
  }
  run.model.adapters->load(run.saved.tensors);
  for (const auto& [parameter, master] : run.model.adapters->parameters()) {
    at::Tensor leaf = master;
    leaf.requires_grad_(parameter == adapters::kTaskEmbedding);
    if (parameter == adapters::kTaskEmbedding) embedding_ = leaf;
    if (parameter == adapters::kGate) gate_ = leaf;
  }
  if (!has_one_gate()) return;
  const at::Tensor gate = gate_.detach().to(at::kDouble);
  from_logits_ = at::linalg_pinv(gate.sub(gate.mean(0, /*keepdim=*/true)));
}

void NewTask::set_embedding(const at::Tensor& value) {
  const at::NoGradGuard no_grad;
  embedding_[row()].copy_(value);
}

void NewTask::set_uniform() {
  set_embedding(at::zeros({embedding_.size(1)}, at::kFloat));
}

void NewTask::set_as(int64_t task) {
  set_embedding(embedding_.detach()[tasks_.groups.empty() ? task : tasks_.groups[task]]);
}

void NewTask::set_logits(const std::vector<double>& logits) {
  at::Tensor z = at::zeros({static_cast<int64_t>(logits.size())}, at::kDouble);
  std::ranges::copy(logits, z.mutable_data_ptr<double>());
  set_embedding(at::mv(from_logits_, z.sub(z.mean())));
}

std::vector<double> NewTask::logits() const {
  return numbers(at::mv(gate_.detach(), embedding_.detach()[row()]));
}

std::vector<double> NewTask::weights() const {
  std::vector<double> mean(static_cast<size_t>(run_.saved.config.adapter.experts), 0.0);
  for (const adapters::GateTable& gate : run_.model.adapters->gates()) {
    for (size_t n = 0; n < mean.size(); ++n) mean[n] += gate.weights[index()][n];
  }
  const double sum = std::accumulate(mean.begin(), mean.end(), 0.0);
  for (double& weight : mean) weight /= sum;
  return mean;
}

NewTask::Slope NewTask::slope(const data::StepBatches& rows) {
  embedding_.mutable_grad() = at::Tensor();
  const double loss = accumulate_gradients(run_.model, rows, {}).total().mean();
  const at::Tensor gradient = at::mv(from_logits_.t(), embedding_.grad()[row()].to(at::kDouble));
  return {loss, numbers(gradient.sub(gradient.mean()))};
}

}  // namespace moelora::train
