#include "adapters/mixer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <cmath>

#include "adapters/initialise.h"

namespace moelora::adapters {

at::Tensor PlainMixer::task_weights(int64_t) const {
  return at::ones({rank_}, at::kFloat);
}
at::Tensor PlainMixer::expert_weights(int64_t) const {
  return at::ones({1}, at::kFloat);
}

UniformMixer::UniformMixer(int64_t rank, int64_t experts)
    : weights_(at::full({rank}, 1.0 / static_cast<double>(experts), at::kFloat)), experts_(experts) {}

at::Tensor UniformMixer::row_weights(const TaskRows& rows, const at::Tensor&) const {
  return weights_.expand({rows.tasks().size(0), weights_.size(0)});
}
at::Tensor UniformMixer::expert_weights(int64_t) const {
  return at::full({experts_}, 1.0 / experts_, at::kFloat);
}

TaskEmbedding::TaskEmbedding(const TaskList& tasks, int64_t size, uint64_t seed)
    : table(normal_parameter(kTaskEmbedding, {tasks.group_count(), size}, 1.0, seed)) {
  if (!tasks.groups.empty()) row_of = at::tensor(tasks.groups, at::kLong);
}

at::Tensor TaskEmbedding::of_tasks() const {
  return row_of.defined() ? at::index_select(table, 0, row_of) : table;
}

TaskGate::TaskGate(GateOptions options, std::shared_ptr<const TaskEmbedding> embedding)
    : options_(std::move(options)), embedding_(std::move(embedding)) {
  const int64_t size = embedding_->table.size(1);
  gate_ = uniform_parameter(options_.name, {options_.experts, size}, 1.0 / std::sqrt(static_cast<double>(size)),
                            options_.seed);
}

at::Tensor TaskGate::table() const {
  const at::Tensor weights = at::softmax(at::mm(embedding_->of_tasks(), gate_.t()), /*dim=*/1);
  return options_.mean_one ? weights.mul(options_.experts) : weights;
}

at::Tensor TaskGate::columns() const {
  return table().repeat_interleave(options_.rank / options_.experts, /*dim=*/1);
}

std::pair<int64_t, int64_t> TaskGate::versions() const {
  return {gate_._version(), embedding_->table._version()};
}

void TaskGate::refresh() {
  const at::NoGradGuard no_grad;
  kept_columns_ = columns();
  columns_versions_ = versions();
}

at::Tensor TaskGate::row_weights(const TaskRows& rows, const at::Tensor&) const {
  const bool kept = kept_columns_.defined() && !at::GradMode::is_enabled() && columns_versions_ == versions();
  return at::index_select(kept ? kept_columns_ : columns(), 0, rows.tasks());
}

at::Tensor TaskGate::task_weights(int64_t task) const {
  return expert_weights(task).repeat_interleave(options_.rank / options_.experts);
}

at::Tensor TaskGate::expert_weights(int64_t task) const {
  const at::NoGradGuard no_grad;
  return table()[task].clone();
}

}  // namespace moelora::adapters
