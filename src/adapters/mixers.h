// The method, in one place: which Mixer weighs the experts of each adapted linear, and what the mixers of a model
// share. Another method that weighs experts is a Mixer, its case in `of`, and its line in config/method.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapters/gate_table.h"
#include "adapters/mixer.h"
#include "adapters/task_list.h"
#include "config/run_config.h"

namespace moelora::adapters {

class Mixers {
 public:
  /// `seed` decides the gates' initial values. Throws Error (kConfig) where experts don't divide rank.
  Mixers(const config::AdapterConfig& config, TaskList tasks, uint64_t seed);

  const TaskList& tasks() const { return tasks_; }
  int64_t columns() const;  // R: the rank, or that of all adapters that stand side by side

  /// Of the linear at `path`, whose inputs are `in` wide: a new one, or the one of all linears. To be called once a
  /// linear. Throws Error (kInternal) for a method that attaches nothing.
  std::shared_ptr<const Mixer> of(const std::string& path, int64_t in);
  /// Null where each linear has its own, and before the first.
  const Mixer* of_all() const { return of_all_.get(); }

  /// What no linear has for itself: the tasks' embeddings, and the parameters of the mixer of all linears.
  std::vector<NamedTensor> shared_parameters() const;

  /// The weights of a gate that all layers share are computed once a batch, and travel with its rows.
  void weigh(TaskRows& rows) const;
  /// To be called after the masters changed.
  void refresh();

 private:
  GateOptions gate_options(std::string name) const;
  std::shared_ptr<const Mixer> task_gate(const std::string& path);
  std::shared_ptr<const Mixer> snapshot_weights(const std::string& path);

  config::AdapterConfig config_;
  TaskList tasks_;
  uint64_t seed_;
  std::shared_ptr<const TaskEmbedding> embedding_;  // null without gates that see the task
  std::vector<std::shared_ptr<TaskGate>> gates_;    // one for all linears, or one each; none for other methods
  std::shared_ptr<const Mixer> of_all_;
};

/// The weights of one Mixer for tasks 0 … count - 1. Throws Error (kModel) for a token gate.
GateTable gate_table(std::string name, const Mixer& mixer, size_t task_count);

}  // namespace moelora::adapters
