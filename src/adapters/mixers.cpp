#include "adapters/mixers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "adapters/given_weights.h"
#include "adapters/snapshot_weights.h"
#include "adapters/token_gate.h"
#include "config/method.h"
#include "core/error.h"

namespace moelora::adapters {

Mixers::Mixers(const config::AdapterConfig& config, TaskList tasks, uint64_t seed)
    : config_(config), tasks_(std::move(tasks)), seed_(seed) {
  if (!config::mixes_experts(config.method)) return;
  if (config.experts >= 1 && config.rank % config.experts == 0) return;
  throw Error(ErrorKind::kConfig,
              {.where = "`adapter.rank`",
               .problem = "rank is not divisible by experts",
               .found = "rank " + std::to_string(config.rank) + ", experts " + std::to_string(config.experts),
               .expected = "a multiple of experts (rank is the total over them)"});
}

int64_t Mixers::columns() const {
  if (config::is_made_of_runs(config_.method)) return config_.rank * tasks_.group_count();
  return config_.rank * tasks_.snapshot_count();
}

std::shared_ptr<const Mixer> Mixers::of(const std::string& path, int64_t in) {
  if (of_all_) return of_all_;
  if (!tasks_.snapshots.empty()) return snapshot_weights(path);
  using config::Method;
  switch (config_.method) {
    case Method::kLora:
    case Method::kLoraTaskPrompt:
      return of_all_ = std::make_shared<PlainMixer>(config_.rank);
    case Method::kUniform:
      return of_all_ = std::make_shared<UniformMixer>(config_.rank, config_.experts);
    case Method::kLoraPerTask:
    case Method::kLoraHub:
    case Method::kTaskArithmetic:
      return of_all_ = std::make_shared<GivenWeights>(tasks_.size(), tasks_.group_count(), columns());
    case Method::kMolora:
      return std::make_shared<TokenGate>(gate_options(path + "." + kGate), in);
    case Method::kMoelora:
      return task_gate(path);
    case Method::kFull:
      throw Error(ErrorKind::kInternal,
                  {.where = "adapters", .problem = "method `full` trains the base and attaches nothing"});
  }
  throw Error(ErrorKind::kInternal, {.where = "adapters", .problem = "unknown method"});
}

GateOptions Mixers::gate_options(std::string name) const {
  return {.name = std::move(name),
          .rank = config_.rank,
          .experts = config_.experts,
          .mean_one = config_.gate.normalise == config::GateNormalise::kMeanOne,
          .seed = seed_};
}

std::shared_ptr<const Mixer> Mixers::task_gate(const std::string& path) {
  if (!embedding_) embedding_ = std::make_shared<TaskEmbedding>(tasks_, config_.gate.embedding_size, seed_);
  const bool shared = !config::has_gate_per_layer(config_);
  auto gate = std::make_shared<TaskGate>(gate_options(shared ? kGate : path + "." + kGate), embedding_);
  gates_.push_back(gate);
  if (!shared) return gate;
  return of_all_ = std::make_shared<SharedGate>(gate);
}

std::shared_ptr<const Mixer> Mixers::snapshot_weights(const std::string& path) {
  const bool shared = !config::has_gate_per_layer(config_);
  auto weights = std::make_shared<SnapshotWeights>(
      SnapshotOptions{.name = shared ? kExpertWeights : path + "." + kExpertWeights,
                      .rank = config_.rank,
                      .experts = config::mixes_experts(config_.method) ? config_.experts : 1,
                      .snapshots = tasks_.snapshots});
  if (shared) of_all_ = weights;
  return weights;
}

std::vector<NamedTensor> Mixers::shared_parameters() const {
  std::vector<NamedTensor> shared;
  if (embedding_) shared.emplace_back(kTaskEmbedding, embedding_->table);
  if (of_all_) std::ranges::copy(of_all_->parameters(), std::back_inserter(shared));
  return shared;
}

void Mixers::weigh(TaskRows& rows) const {
  if (of_all_ && !gates_.empty()) rows.set_shared_weights(gates_.front()->row_weights(rows, {}));
}

void Mixers::refresh() {
  for (const std::shared_ptr<TaskGate>& gate : gates_) gate->refresh();
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
