// An adapter at several steps of its training, side by side: each task has the weights of the step that was best for
// it. With K snapshots of rank r, R = K r, and a task's weights are those that its snapshot's gate gave it on its own
// snapshot's columns, 0 on all others. So it computes, collapses and exports at rank r as the snapshot itself did.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "adapters/mixer.h"

namespace moelora::adapters {

struct SnapshotOptions {
  std::string name;                // of its parameter
  int64_t rank = 0;                // r, of one snapshot
  int64_t experts = 0;             // N, divides r
  std::vector<int64_t> snapshots;  // [tasks], from 0 without gaps
};

class SnapshotWeights : public Mixer {
 public:
  /// All weights are 0 until the table is filled.
  explicit SnapshotWeights(SnapshotOptions options);

  at::Tensor row_weights(const TaskRows& rows, const at::Tensor&) const override;
  at::Tensor task_weights(int64_t task) const override;
  /// Those of the task's snapshot, r.
  at::Tensor task_columns(int64_t task) const override;
  /// Of the N experts of the task's snapshot.
  at::Tensor expert_weights(int64_t task) const override;
  /// [tasks, N], as the gates of the snapshots gave them.
  std::vector<NamedTensor> parameters() const override { return {{options_.name, table_}}; }

 private:
  at::Tensor table() const;  // [tasks, R] float32

  SnapshotOptions options_;
  at::Tensor own_;    // [tasks, K, 1] float32: 1 for the task's snapshot, else 0
  at::Tensor table_;  // [tasks, N] float32, a leaf
};

}  // namespace moelora::adapters
