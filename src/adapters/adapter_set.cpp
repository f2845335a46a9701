#include "adapters/adapter_set.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>

#include "adapters/given_weights.h"
#include "adapters/snapshot_weights.h"
#include "adapters/targets.h"
#include "adapters/token_gate.h"
#include "config/method.h"
#include "core/error.h"
#include "core/suggest.h"

namespace moelora::adapters {

AdapterSet::AdapterSet(nn::Decoder& decoder, const config::AdapterConfig& config, TaskList tasks, uint64_t seed)
    : config_(config), tasks_(std::move(tasks)), seed_(seed) {
  if (config::mixes_experts(config.method)) {
    if (config.experts < 1 || config.rank % config.experts != 0) {
      throw Error(ErrorKind::kConfig,
                  {.where = "`adapter.rank`",
                   .problem = "rank is not divisible by experts",
                   .found = "rank " + std::to_string(config.rank) + ", experts " + std::to_string(config.experts),
                   .expected = "a multiple of experts (rank is the total over them)"});
    }
  }
  std::vector<std::string> paths;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& slot) {
    for (const nn::Member& member : slot->members()) paths.push_back(member.path);
  });
  const std::vector<bool> targeted = match_targets(config.targets, paths);

  size_t next = 0;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& slot) {
    std::vector<std::shared_ptr<const Mixer>> mixers;
    for (const nn::Member& member : slot->members()) mixers.push_back(targeted[next++] ? make_mixer(member) : nullptr);
    if (std::ranges::none_of(mixers, [](const auto& mixer) { return mixer != nullptr; })) return;
    const ExpertOptions options{
        .rank = columns(),
        .scale = config.alpha / static_cast<double>(config.rank),
        .normal_init = config.init_a == config::InitA::kNormal,
        .seed = seed,
        .dropout = {.p = config.dropout, .seed = seed, .module = static_cast<uint32_t>(projections_.size())}};
    auto adapted = std::make_unique<AdaptedProjection>(std::move(slot), std::move(mixers), options, decoder.dtype());
    projections_.push_back(adapted.get());
    slot = std::move(adapted);
  });
  for (const std::shared_ptr<TaskGate>& gate : gates_) gate->refresh();
}

int64_t AdapterSet::columns() const {
  if (config::is_made_of_runs(config_.method)) return config_.rank * tasks_.group_count();
  return config_.rank * tasks_.snapshot_count();
}

/// The method, in one place: who weighs the experts of a linear.
std::shared_ptr<const Mixer> AdapterSet::make_mixer(const nn::Member& linear) {
  if (shared_mixer_) return shared_mixer_;
  if (!tasks_.snapshots.empty()) return make_snapshot_weights(linear.path);
  using config::Method;
  switch (config_.method) {
    case Method::kLora:
    case Method::kLoraTaskPrompt:
      return shared_mixer_ = std::make_shared<PlainMixer>(config_.rank);
    case Method::kUniform:
      return shared_mixer_ = std::make_shared<UniformMixer>(config_.rank, config_.experts);
    case Method::kLoraPerTask:
    case Method::kLoraHub:
    case Method::kTaskArithmetic:
      return shared_mixer_ = std::make_shared<GivenWeights>(tasks_.size(), tasks_.group_count(), columns());
    case Method::kMolora:
      return std::make_shared<TokenGate>(gate_options(linear.path + ".gate"), linear.base->in_features());
    case Method::kMoelora:
      return make_task_gate(linear.path);
    case Method::kFull:
      throw Error(ErrorKind::kInternal,
                  {.where = "AdapterSet", .problem = "method `full` trains the base and attaches nothing"});
  }
  throw Error(ErrorKind::kInternal, {.where = "AdapterSet", .problem = "unknown method"});
}

GateOptions AdapterSet::gate_options(std::string name) const {
  return {.name = std::move(name),
          .rank = config_.rank,
          .experts = config_.experts,
          .mean_one = config_.gate.normalise == config::GateNormalise::kMeanOne,
          .seed = seed_};
}

std::shared_ptr<const Mixer> AdapterSet::make_task_gate(const std::string& path) {
  if (!embedding_) {
    embedding_ = std::make_shared<TaskEmbedding>(tasks_, config_.gate.embedding_size, seed_);
  }
  const bool shared = config_.gate.scope == config::GateScope::kShared;
  auto gate = std::make_shared<TaskGate>(gate_options(shared ? "gate" : path + ".gate"), embedding_);
  gates_.push_back(gate);
  if (!shared) return gate;
  return shared_mixer_ = std::make_shared<SharedGate>(gate);
}

std::shared_ptr<const Mixer> AdapterSet::make_snapshot_weights(const std::string& path) {
  const bool shared = !config::has_gate_per_layer(config_);
  auto weights = std::make_shared<SnapshotWeights>(
      SnapshotOptions{.name = shared ? "expert_weights" : path + ".expert_weights",
                      .rank = config_.rank,
                      .experts = config::mixes_experts(config_.method) ? config_.experts : 1,
                      .snapshots = tasks_.snapshots});
  if (shared) shared_mixer_ = weights;
  return weights;
}

int64_t AdapterSet::task_index(const std::string& name) const {
  const auto task = std::ranges::find(tasks_.names, name);
  if (task == tasks_.names.end()) {
    throw Error(ErrorKind::kUsage, {.where = "task",
                                    .problem = "unknown task",
                                    .found = name,
                                    .expected = "one of " + list_names(tasks_.names),
                                    .hint = did_you_mean(name, tasks_.names)});
  }
  return task - tasks_.names.begin();
}

std::unique_ptr<TaskRows> AdapterSet::rows(const PackedTasks& packed) const {
  for (const int64_t task : packed.tasks) {
    if (task < 0 || task >= tasks_.size()) {
      throw Error(ErrorKind::kInternal,
                  {.where = "packed batch", .problem = "task index out of range", .found = std::to_string(task)});
    }
    if (merged_task_ >= 0 && task != merged_task_) {
      throw Error(ErrorKind::kUsage, {.where = "task",
                                      .problem = "another task is merged into the weights",
                                      .found = tasks_.names[task],
                                      .expected = tasks_.names[merged_task_],
                                      .hint = "restore() the weights first"});
    }
  }
  auto rows = std::make_unique<TaskRows>(packed);
  if (shared_mixer_ && !gates_.empty()) rows->set_shared_weights(gates_.front()->row_weights(*rows, {}));
  return rows;
}

std::vector<NamedTensor> AdapterSet::parameters() const {
  std::vector<NamedTensor> all;
  if (embedding_) all.emplace_back("task_embedding", embedding_->table);
  if (shared_mixer_) std::ranges::copy(shared_mixer_->parameters(), std::back_inserter(all));
  for (const AdaptedProjection* projection : projections_) {
    std::ranges::copy(projection->parameters(), std::back_inserter(all));
    if (shared_mixer_) continue;
    for (const MemberAdapter& adapter : projection->adapters()) {
      std::ranges::copy(adapter.mixer->parameters(), std::back_inserter(all));
    }
  }
  return all;
}

int64_t AdapterSet::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, tensor] : parameters()) count += tensor.numel();
  return count;
}

void AdapterSet::load(std::span<const NamedTensor> values) {
  std::map<std::string, at::Tensor> given(values.begin(), values.end());
  const std::vector<NamedTensor> masters = parameters();
  const auto fail = [](const std::string& name, const std::string& problem) {
    throw Error(ErrorKind::kModel, {.where = "adapter tensor `" + name + "`", .problem = problem});
  };
  for (const auto& [name, master] : masters) {
    const auto value = given.find(name);
    if (value == given.end()) fail(name, "missing");
    if (value->second.sizes() != master.sizes()) fail(name, "of another shape than the configuration says");
  }
  if (given.size() != masters.size()) {
    for (const auto& [name, master] : masters) given.erase(name);
    fail(given.begin()->first, "not part of this adapter");
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, master] : masters) master.copy_(given.at(name));
  refresh();
}

void AdapterSet::detach(nn::Decoder& decoder) {
  size_t next = 0;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& slot) {
    if (next < projections_.size() && slot.get() == projections_[next]) slot = projections_[next++]->take_base();
  });
  projections_.clear();
}

void AdapterSet::set_aside(nn::Decoder& decoder) {
  if (!aside_.empty()) throw Error(ErrorKind::kInternal, {.where = "adapters", .problem = "set aside already"});
  size_t next = 0;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& slot) {
    std::unique_ptr<nn::Projection>& kept = aside_.emplace_back();
    if (next == projections_.size() || slot.get() != projections_[next]) return;
    kept = std::move(slot);
    slot = projections_[next++]->take_base();
  });
}

void AdapterSet::put_back(nn::Decoder& decoder) {
  size_t next = 0, adapted = 0;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& slot) {
    std::unique_ptr<nn::Projection>& kept = aside_.at(next++);
    if (!kept) return;
    projections_[adapted++]->give_base(std::move(slot));
    slot = std::move(kept);
  });
  aside_.clear();
}

void AdapterSet::refresh() {
  for (const std::shared_ptr<TaskGate>& gate : gates_) gate->refresh();
  for (AdaptedProjection* projection : projections_) {
    projection->refresh();
    if (merged_task_ >= 0) projection->merge(merged_task_);
  }
}

std::vector<CollapsedLinear> AdapterSet::collapse(int64_t task) const {
  std::vector<CollapsedLinear> collapsed;
  for (const AdaptedProjection* projection : projections_) {
    for (const MemberAdapter& adapter : projection->adapters()) {
      collapsed.push_back(adapters::collapse(adapter, config_.alpha / static_cast<double>(config_.rank), task));
    }
  }
  return collapsed;
}

void AdapterSet::merge(int64_t task) {
  if (task < 0 || task >= tasks_.size()) {
    throw Error(ErrorKind::kInternal,
                {.where = "merge", .problem = "task index out of range", .found = std::to_string(task)});
  }
  if (task == merged_task_) return;
  for (AdaptedProjection* projection : projections_) projection->merge(task);
  merged_task_ = task;
}

void AdapterSet::restore() {
  for (AdaptedProjection* projection : projections_) projection->restore();
  merged_task_ = -1;
}

std::vector<GateTable> AdapterSet::gates() const {
  if (shared_mixer_) return {gate_table("shared", *shared_mixer_, tasks_.names.size())};
  std::vector<GateTable> gates;
  for (const AdaptedProjection* projection : projections_) {
    for (const MemberAdapter& adapter : projection->adapters())
      gates.push_back(gate_table(adapter.path, *adapter.mixer, tasks_.names.size()));
  }
  return gates;
}

GateTable gate_table(std::string name, const Mixer& mixer, size_t task_count) {
  GateTable gate{.name = std::move(name), .weights = {}};
  for (size_t task = 0; task < task_count; ++task) {
    const at::Tensor weights = mixer.expert_weights(static_cast<int64_t>(task)).contiguous();
    gate.weights.emplace_back(weights.const_data_ptr<float>(), weights.const_data_ptr<float>() + weights.numel());
  }
  return gate;
}

}  // namespace moelora::adapters
