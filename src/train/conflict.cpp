#include "train/conflict.h"

#include <ATen/ops/dot.h>

#include <cmath>

namespace moelora::train {
namespace {

/// The same packs with the weights of other tasks' tokens 0; packs without the task stay, empty of weight, so that a
/// loss that isn't finite is named by its place.
data::StepBatches of_task(const data::StepBatches& batches, size_t task) {
  data::StepBatches own = batches;
  for (data::PackedBatch& pack : own.packs) {
    for (size_t k = 0; k < pack.weights.size(); ++k) {
      if (static_cast<size_t>(pack.tasks[pack.supervised_samples[k]]) != task) pack.weights[k] = 0;
    }
  }
  return own;
}

std::vector<at::Tensor> expert_masters(const adapters::Model& model) {
  std::vector<at::Tensor> masters;
  for (const auto& [name, master] : model.adapters->parameters()) {
    if (name.ends_with(".lora_A") || name.ends_with(".lora_B")) masters.push_back(master);
  }
  return masters;
}

double dot(const std::vector<at::Tensor>& one, const std::vector<at::Tensor>& other) {
  double sum = 0;
  for (size_t i = 0; i < one.size(); ++i) sum += at::dot(one[i], other[i]).item<double>();
  return sum;
}

}  // namespace

TaskConflict task_conflict(const adapters::Model& model, const data::StepBatches& batches, const StepOptions& options) {
  const std::vector<at::Tensor> masters = expert_masters(model);
  std::vector<std::vector<at::Tensor>> gradients(batches.tasks.size());
  for (size_t task = 0; task < gradients.size(); ++task) {
    if (batches.tasks[task].supervised_tokens == 0) continue;
    for (const auto& [name, master] : model.adapters->parameters()) {
      if (master.grad().defined()) master.grad().zero_();
    }
    accumulate_gradients(model, of_task(batches, task), options);
    for (const at::Tensor& master : masters) gradients[task].push_back(master.grad().clone().flatten());
  }
  TaskConflict cosines(gradients.size(), std::vector<std::optional<double>>(gradients.size()));
  for (size_t one = 0; one < gradients.size(); ++one) {
    for (size_t other = 0; other < gradients.size(); ++other) {
      if (gradients[one].empty() || gradients[other].empty()) continue;
      const double norms = std::sqrt(dot(gradients[one], gradients[one]) * dot(gradients[other], gradients[other]));
      if (norms > 0) cosines[one][other] = dot(gradients[one], gradients[other]) / norms;
    }
  }
  return cosines;
}

}  // namespace moelora::train
