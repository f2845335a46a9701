#include "adapters/adapter_set.h"

#include <algorithm>
#include <map>

#include "adapters/targets.h"
#include "core/error.h"
#include "core/suggest.h"

namespace moelora::adapters {

AdapterSet::AdapterSet(nn::Decoder& decoder, const config::AdapterConfig& config, TaskList tasks, uint64_t seed)
    : config_(config), mixers_(config, std::move(tasks), seed) {
  std::vector<std::string> paths;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& slot) {
    for (const nn::Member& member : slot->members()) paths.push_back(member.path);
  });
  const std::vector<bool> targeted = match_targets(config.targets, paths);

  size_t next = 0;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& slot) {
    std::vector<std::shared_ptr<const Mixer>> mixers;
    for (const nn::Member& member : slot->members())
      mixers.push_back(targeted[next++] ? mixers_.of(member.path, member.base->in_features()) : nullptr);
    if (std::ranges::none_of(mixers, [](const auto& mixer) { return mixer != nullptr; })) return;
    const ExpertOptions options{
        .rank = mixers_.columns(),
        .scale = scale(),
        .normal_init = config.init_a == config::InitA::kNormal,
        .seed = seed,
        .dropout = {.p = config.dropout, .seed = seed, .module = static_cast<uint32_t>(projections_.size())}};
    auto adapted = std::make_unique<AdaptedProjection>(std::move(slot), std::move(mixers), options, decoder.dtype());
    projections_.push_back(adapted.get());
    slot = std::move(adapted);
  });
  mixers_.refresh();
}

int64_t AdapterSet::task_index(const std::string& name) const {
  const auto task = std::ranges::find(tasks(), name);
  if (task == tasks().end()) {
    throw Error(ErrorKind::kUsage, {.where = "task",
                                    .problem = "unknown task",
                                    .found = name,
                                    .expected = "one of " + list_names(tasks()),
                                    .hint = did_you_mean(name, tasks())});
  }
  return task - tasks().begin();
}

std::unique_ptr<TaskRows> AdapterSet::rows(const PackedTasks& packed) const {
  for (const int64_t task : packed.tasks) {
    if (task < 0 || task >= std::ssize(tasks())) {
      throw Error(ErrorKind::kInternal,
                  {.where = "packed batch", .problem = "task index out of range", .found = std::to_string(task)});
    }
    if (merged_task_ >= 0 && task != merged_task_) {
      throw Error(ErrorKind::kUsage, {.where = "task",
                                      .problem = "another task is merged into the weights",
                                      .found = tasks()[task],
                                      .expected = tasks()[merged_task_],
                                      .hint = "restore() the weights first"});
    }
  }
  auto rows = std::make_unique<TaskRows>(packed);
  mixers_.weigh(*rows);
  return rows;
}

std::vector<NamedTensor> AdapterSet::parameters() const {
  std::vector<NamedTensor> all = mixers_.shared_parameters();
  for (const AdaptedProjection* projection : projections_) {
    std::ranges::copy(projection->parameters(), std::back_inserter(all));
    if (mixers_.of_all()) continue;
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
  const std::string what = "adapter tensor";
  if (given.size() > masters.size()) {
    for (const auto& [name, master] : masters) given.erase(name);
    throw Error(ErrorKind::kModel,
                {.where = what + " `" + given.begin()->first + "`", .problem = "not part of this adapter"});
  }
  copy_by_name(masters, given, what);
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
  mixers_.refresh();
  for (AdaptedProjection* projection : projections_) {
    projection->refresh();
    if (merged_task_ >= 0) projection->merge(merged_task_);
  }
}

std::vector<CollapsedLinear> AdapterSet::collapse(int64_t task) const {
  std::vector<CollapsedLinear> collapsed;
  for (const AdaptedProjection* projection : projections_) {
    for (const MemberAdapter& adapter : projection->adapters()) {
      collapsed.push_back(adapters::collapse(adapter, scale(), task));
    }
  }
  return collapsed;
}

void AdapterSet::merge(int64_t task) {
  if (task < 0 || task >= std::ssize(tasks())) {
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
  if (const Mixer* shared = mixers_.of_all()) return {gate_table("shared", *shared, tasks().size())};
  std::vector<GateTable> gates;
  for (const AdaptedProjection* projection : projections_) {
    for (const MemberAdapter& adapter : projection->adapters())
      gates.push_back(gate_table(adapter.path, *adapter.mixer, tasks().size()));
  }
  return gates;
}

}  // namespace moelora::adapters
