// All adapters of a model for a list of tasks: attached to a decoder, trained as one set, collapsed and merged task by
// task.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapters/adapted_projection.h"
#include "adapters/collapse.h"
#include "adapters/gate_table.h"
#include "adapters/mixers.h"
#include "adapters/task_list.h"
#include "config/run_config.h"
#include "nn/decoder.h"

namespace moelora::adapters {

class AdapterSet {
 public:
  /// Wraps the decoder's projections that config.targets names; the decoder must outlive the set and be frozen. `seed`
  /// decides initial values and dropout. Throws Error (kConfig) where a target matches nothing or experts don't divide
  /// rank.
  AdapterSet(nn::Decoder& decoder, const config::AdapterConfig& config, TaskList tasks, uint64_t seed);
  /// Of tasks that are neither grouped nor at steps of their own.
  AdapterSet(nn::Decoder& decoder, const config::AdapterConfig& config, std::vector<std::string> tasks, uint64_t seed)
      : AdapterSet(decoder, config, TaskList{.names = std::move(tasks)}, seed) {}

  const config::AdapterConfig& config() const { return config_; }
  const std::vector<std::string>& tasks() const { return mixers_.tasks().names; }

  /// Index of a task by name. Throws Error (kUsage) listing the known ones and the nearest; never a default.
  int64_t task_index(const std::string& name) const;

  /// The context of a packed batch, to be handed to Decoder::forward. Throws Error on a task that isn't in the set, or
  /// isn't the merged one while one is merged.
  std::unique_ptr<TaskRows> rows(const PackedTasks& packed) const;

  /// Masters that are trained (float32 leaves), by name, in a stable order.
  std::vector<NamedTensor> parameters() const;
  int64_t parameter_count() const;

  /// Copies `values` (of parameters()' names, shapes, float32) into the masters. Throws Error (kModel) naming what is
  /// missing, too much or of another shape; then nothing has changed.
  void load(std::span<const NamedTensor> values);

  /// To be called after the masters changed, by an optimizer step say: the compute copies, the gates' weights and the
  /// merged ones follow.
  void refresh();

  /// One task as a plain LoRA, one entry an adapted linear. Throws Error (kModel) for a token gate.
  std::vector<CollapsedLinear> collapse(int64_t task) const;

  /// Folds one task into the weights (from the pristine ones; merging it again changes nothing), until restore().
  /// Throws Error (kInternal) on a task that isn't in the set.
  void merge(int64_t task);
  void restore();

  /// Throws Error (kModel) for a token gate, which has no weights of a task.
  std::vector<GateTable> gates() const;

  /// Gives the decoder's projections back as they were before the set was made. The set has no projections from then
  /// on.
  void detach(nn::Decoder& decoder);

  /// Takes the projections out of the decoder, so that another set can be over its base, and puts them back once that
  /// one is aside or detached. Nothing else may be asked of a set that is aside. Throws Error (kInternal) where it is.
  void set_aside(nn::Decoder& decoder);
  void put_back(nn::Decoder& decoder);

 private:
  double scale() const { return config_.alpha / static_cast<double>(config_.rank); }

  config::AdapterConfig config_;
  Mixers mixers_;
  std::vector<AdaptedProjection*> projections_;         // owned by the decoder
  std::vector<std::unique_ptr<nn::Projection>> aside_;  // of each slot of the decoder while aside, null: not adapted
  int64_t merged_task_ = -1;
};

}  // namespace moelora::adapters
