// Who weighs the experts: the one axis on which the methods that mix experts differ. A Mixer turns a row's task (or,
// for a token gate, the row itself) into weights m over the R columns of the stacked experts; everything else is
// AdaptedProjection.
//
//   method    m of a row of task t                              source
//   lora      1                                                 Hu et al., "LoRA"
//   uniform   1 / N                                             MOELoRA without gate (arXiv 2310.18339, ablation)
//   moelora   repeat(softmax(W_g E_t), r / N), or N times that  arXiv 2310.18339, section 4.3
//   molora    the same of softmax(W x): see token_gate.h        Zadouri et al., arXiv 2309.05444
//   made of runs: a row of a table that was found or set, see given_weights.h
//   each task at a step of its own: see snapshot_weights.h
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adapters/named_tensors.h"
#include "adapters/task_list.h"
#include "adapters/task_rows.h"

namespace moelora::adapters {

class Mixer {
 public:
  virtual ~Mixer() = default;

  /// m [T, R] float32 of the rows (x [T, in] for methods that look at it), differentiable; undefined where every weight
  /// is 1.
  virtual at::Tensor row_weights(const TaskRows& rows, const at::Tensor& x) const = 0;

  /// m [R] float32 of one task, detached: what collapse multiplies into B. Throws Error (kModel) where the task alone
  /// doesn't decide.
  virtual at::Tensor task_weights(int64_t task) const = 0;

  /// The columns that a task needs, [n] int64, where others have weight 0 by construction; undefined: all R.
  virtual at::Tensor task_columns(int64_t) const { return {}; }

  /// The weights of the N experts of one task, [N] float32, detached: what `moelora gates` shows. Throws as
  /// task_weights.
  virtual at::Tensor expert_weights(int64_t task) const = 0;

  /// Trainable masters, each a float32 leaf, by name.
  virtual std::vector<NamedTensor> parameters() const { return {}; }
};

/// Plain LoRA: one adapter for all tasks.
class PlainMixer : public Mixer {
 public:
  explicit PlainMixer(int64_t rank) : rank_(rank) {}
  at::Tensor row_weights(const TaskRows&, const at::Tensor&) const override { return {}; }
  at::Tensor task_weights(int64_t task) const override;
  at::Tensor expert_weights(int64_t task) const override;

 private:
  int64_t rank_;
};

/// N experts of equal weight 1 / N, whatever the task.
class UniformMixer : public Mixer {
 public:
  UniformMixer(int64_t rank, int64_t experts);
  at::Tensor row_weights(const TaskRows& rows, const at::Tensor&) const override;
  at::Tensor task_weights(int64_t) const override { return weights_; }
  at::Tensor expert_weights(int64_t task) const override;

 private:
  at::Tensor weights_;  // [R], all 1 / N
  int64_t experts_;
};

/// One embedding a task or group of tasks, E [groups, d_t] ~ N(0, 1): what a gate sees. All gates of a model share it.
struct TaskEmbedding {
  at::Tensor table;   // [groups, d_t] float32, a leaf
  at::Tensor row_of;  // [tasks] int64, each task's row of the table; undefined: task t has row t

  TaskEmbedding(const TaskList& tasks, int64_t size, uint64_t seed);
  /// [tasks, d_t], differentiable.
  at::Tensor of_tasks() const;
};

struct GateOptions {
  std::string name;       // of its parameter: "gate", or "<path of its linear>.gate" for one of many
  int64_t rank = 0;       // R
  int64_t experts = 0;    // N, divides R
  bool mean_one = false;  // weights have mean 1 over the experts instead of sum 1
  uint64_t seed = 0;
};

/// The paper's task-motivated gate: w[t, :] = softmax(W_g E_t) over the experts, in float32, dense. W_g [N, d_t], no
/// bias, U(±1/sqrt(d_t)) at the start.
class TaskGate : public Mixer {
 public:
  TaskGate(GateOptions options, std::shared_ptr<const TaskEmbedding> embedding);

  /// A gate shared by all layers is asked once a batch, and the result travels in TaskRows.
  at::Tensor row_weights(const TaskRows& rows, const at::Tensor&) const override;

  /// To be called after the masters changed. Where no gradient is wanted, rows take what was computed here: a step of
  /// decoding would wait for it, with a gate per layer for each of them.
  void refresh();
  at::Tensor task_weights(int64_t task) const override;
  at::Tensor expert_weights(int64_t task) const override;
  std::vector<NamedTensor> parameters() const override { return {{options_.name, gate_}}; }

 private:
  at::Tensor table() const;    // [tasks, N] float32, differentiable
  at::Tensor columns() const;  // [tasks, R], the same repeated
  std::pair<int64_t, int64_t> versions() const;

  GateOptions options_;
  std::shared_ptr<const TaskEmbedding> embedding_;
  at::Tensor gate_;                               // W_g [N, d_t] float32, a leaf
  at::Tensor kept_columns_;                       // of the masters as refresh() found them; undefined before it
  std::pair<int64_t, int64_t> columns_versions_;  // of those masters: an operator that changes them since is noticed
};

/// A gate of all layers as one layer sees it: its weights come with the rows.
class SharedGate : public Mixer {
 public:
  explicit SharedGate(std::shared_ptr<const TaskGate> gate) : gate_(std::move(gate)) {}
  at::Tensor row_weights(const TaskRows& rows, const at::Tensor&) const override { return rows.shared_weights(); }
  at::Tensor task_weights(int64_t task) const override { return gate_->task_weights(task); }
  at::Tensor expert_weights(int64_t task) const override { return gate_->expert_weights(task); }
  std::vector<NamedTensor> parameters() const override { return gate_->parameters(); }

 private:
  std::shared_ptr<const TaskGate> gate_;
};

}  // namespace moelora::adapters
