// A finished MOELoRA run's model with one task more, whose row of the gate can be chosen: experts and gate stay, the
// task has an embedding that is set.
//
// A gate that all layers share maps an embedding to w = softmax(W_g E). Any positive w that sums to 1 has one, of least
// length, where d_t >= N - 1:  E = C⁺ (log w - mean log w),  C = W_g less its mean over the experts, which the softmax
// doesn't see. So what is chosen is N logits, up to a constant.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "adapters/task_list.h"
#include "data/packing.h"
#include "train/open_run.h"

namespace moelora::train {

class NewTask {
 public:
  /// Extends the model and the saved tensors of `run`, which must outlive this. The embedding is 0: uniform weights.
  NewTask(OpenRun& run, const std::string& name);

  int64_t index() const { return tasks_.size() - 1; }
  /// Whether one gate is all layers'. Logits are of that; with a gate per layer an embedding has others in each.
  bool has_one_gate() const { return gate_.defined(); }

  void set_uniform();
  /// The weights of a task that the run knows, in every layer.
  void set_as(int64_t task);
  /// N logits, up to a constant.
  void set_logits(const std::vector<double>& logits);
  std::vector<double> logits() const;

  /// softmax of the logits, [N], sum 1; with a gate per layer their mean over the layers.
  std::vector<double> weights() const;

  struct Slope {
    double loss;                   // the mean over the rows' supervised tokens
    std::vector<double> gradient;  // of it by the logits, [N], sum 0
  };
  /// At the present logits, on rows of the task. Throws NonFiniteLoss.
  Slope slope(const data::StepBatches& rows);

  /// E [groups + 1, d_t] float32, a copy.
  at::Tensor embeddings() const { return embedding_.detach().clone(); }

 private:
  int64_t row() const { return tasks_.group_count() - 1; }  // its embedding's
  void set_embedding(const at::Tensor& value);

  OpenRun& run_;
  adapters::TaskList tasks_;
  at::Tensor embedding_;    // E [groups + 1, d_t], a leaf: the only master that takes a gradient
  at::Tensor gate_;         // W_g [N, d_t] of a shared gate, else undefined
  at::Tensor from_logits_;  // C⁺ [d_t, N] float64, of a shared gate
};

}  // namespace moelora::train
