#include "train/step.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include <cmath>
#include <limits>
#include <memory>

#include "core/interrupt.h"
#include "kernels/supervised_cross_entropy.h"

namespace moelora::train {
namespace {

/// A view: `values` must outlive it.
at::Tensor view(const std::vector<int64_t>& values) {
  return at::from_blob(const_cast<int64_t*>(values.data()), {static_cast<int64_t>(values.size())}, at::kLong);
}

/// One pack's forward pass and what its graph refers to: recomputed layers read context and attention again in
/// backward.
struct Forward {
  std::unique_ptr<nn::RowContext> context;
  std::unique_ptr<nn::PackedAttention> attention;
  kernels::SupervisedLoss loss;
};

Forward forward(const adapters::Model& model, const data::PackedBatch& pack, const StepOptions& options) {
  adapters::PackedTasks tasks{.cu_seqlens = pack.cu_seqlens, .tasks = pack.tasks, .sample_keys = {}, .positions = {}};
  if (options.dropout) {
    tasks.sample_keys = pack.sample_keys;
    tasks.positions = pack.positions;
  }
  Forward pass{model.rows(tasks), std::make_unique<nn::PackedAttention>(pack.cu_seqlens), {}};
  const at::Tensor hidden =
      model.decoder->forward({view(pack.ids), view(pack.positions)}, *pass.attention, pass.context.get(),
                             {.recompute = options.recompute, .wanted_rows = view(pack.supervised_rows)});
  const at::Tensor weights =
      at::from_blob(const_cast<float*>(pack.weights.data()), {static_cast<int64_t>(pack.weights.size())}, at::kFloat);
  pass.loss = kernels::supervised_cross_entropy(hidden, model.decoder->head(), view(pack.targets), weights,
                                                {.softcap = model.decoder->config().logit_softcap});
  return pass;
}

/// Enters one pack's token losses [K]; throws NonFiniteLoss.
void enter(StepLoss& step, const data::PackedBatch& pack, int64_t pack_index, const at::Tensor& row_loss) {
  const float* losses = row_loss.const_data_ptr<float>();
  for (size_t k = 0; k < pack.targets.size(); ++k) {
    const int64_t sequence = pack.supervised_samples[k];
    if (!std::isfinite(losses[k])) throw NonFiniteLoss{pack_index, sequence};
    TaskLoss& task = step.tasks[pack.tasks[sequence]];
    task.sum += losses[k];
    ++task.tokens;
    step.objective += static_cast<double>(pack.weights[k]) * losses[k];
  }
}

}  // namespace

TaskLoss StepLoss::total() const {
  TaskLoss total;
  for (const TaskLoss& task : tasks) {
    total.sum += task.sum;
    total.tokens += task.tokens;
  }
  return total;
}

void StepLoss::add(const StepLoss& other) {
  objective += other.objective;
  tasks.resize(other.tasks.size());
  for (size_t t = 0; t < tasks.size(); ++t) {
    tasks[t].sum += other.tasks[t].sum;
    tasks[t].tokens += other.tasks[t].tokens;
  }
}

StepLoss accumulate_gradients(const adapters::Model& model, const data::StepBatches& batches,
                              const StepOptions& options) {
  StepLoss step{.objective = 0, .tasks = std::vector<TaskLoss>(batches.tasks.size())};
  for (size_t i = 0; i < batches.packs.size(); ++i) {
    const data::PackedBatch& pack = batches.packs[i];
    const Forward pass = forward(model, pack, options);
    enter(step, pack, static_cast<int64_t>(i), pass.loss.row_loss);
    pass.loss.loss.backward();
  }
  return step;
}

StepLoss loss_of(const adapters::Model& model, const data::StepBatches& batches) {
  const at::NoGradGuard no_grad;
  StepLoss step{.objective = 0, .tasks = std::vector<TaskLoss>(batches.tasks.size())};
  for (size_t i = 0; i < batches.packs.size(); ++i) {
    throw_if_interrupted();
    enter(step, batches.packs[i], static_cast<int64_t>(i), forward(model, batches.packs[i], {}).loss.row_loss);
  }
  return step;
}

double loss_or_infinity(const adapters::Model& model, const data::StepBatches& batches) {
  try {
    return loss_of(model, batches).total().mean();
  } catch (const NonFiniteLoss&) {
    return std::numeric_limits<double>::infinity();
  }
}

}  // namespace moelora::train
