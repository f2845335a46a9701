#include "train/snapshots.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>
#include <set>

#include "adapters/compose.h"
#include "config/task_groups.h"
#include "core/error.h"
#include "io/checkpoint.h"
#include "train/finish.h"

namespace moelora::train {
namespace {

using adapters::LoraTensors;

/// A and B of the model's adapter as they are.
LoraTensors lora_tensors(const adapters::Model& model) {
  LoraTensors tensors;
  for (const auto& [name, master] : model.adapters->parameters()) {
    if (name.ends_with(".lora_A") || name.ends_with(".lora_B")) tensors.emplace_back(name, master.detach().clone());
  }
  return tensors;
}

}  // namespace

adapters::TaskList task_list(const std::vector<std::string>& tasks, const config::RunConfig& config,
                             const std::vector<int64_t>& steps) {
  adapters::TaskList list{.names = tasks};
  const config::TaskGroups groups = config::task_groups(tasks, config.tasks);
  if (groups.count() < list.size()) list.groups = groups.of_task;
  const std::set<int64_t> different(steps.begin(), steps.end());
  if (different.size() < 2) return list;
  for (const int64_t step : steps) list.snapshots.push_back(std::distance(different.begin(), different.find(step)));
  return list;
}

void load_snapshots(RunSetup& setup, const std::vector<int64_t>& steps) {
  const config::RunConfig& config = setup.config;
  adapters::TaskList tasks = task_list(setup.dataset.task_names(), config, steps);
  std::vector<LoraTensors> snapshots;
  std::map<std::string, std::vector<at::Tensor>> weights;  // [tasks] of each gate
  for (const int64_t step : std::set<int64_t>(steps.begin(), steps.end())) {
    load_parameters(setup.model, io::load_checkpoint(io::checkpoint_dir(config.output, step)).tensors);
    if (tasks.snapshots.empty()) return;
    for (const adapters::GateTable& gate : setup.model.adapters->gates()) {
      std::vector<at::Tensor>& rows = weights[gate.name];
      rows.resize(steps.size());
      for (size_t t = 0; t < steps.size(); ++t) {
        if (steps[t] == step) rows[t] = at::tensor(gate.weights[t]);
      }
    }
    snapshots.push_back(lora_tensors(setup.model));
  }
  std::vector<NamedTensor> tensors = adapters::stack(snapshots, config.adapter.rank);
  for (const auto& [gate, rows] : weights)
    tensors.emplace_back(gate == "shared" ? adapters::kExpertWeights : gate + "." + adapters::kExpertWeights,
                         at::stack(rows));
  setup.model.decoder = setup.model.take_base();
  setup.model.adapters =
      std::make_unique<adapters::AdapterSet>(*setup.model.decoder, config.adapter, std::move(tasks), config.train.seed);
  setup.model.adapters->load(tensors);
}

std::string steps_text(const std::vector<std::string>& tasks, const std::vector<int64_t>& steps) {
  if (std::ranges::count(steps, steps.front()) == std::ssize(steps)) return std::to_string(steps.front());
  std::string text;
  for (size_t t = 0; t < tasks.size(); ++t)
    text += (t == 0 ? "" : ", ") + std::to_string(steps[t]) + " (" + tasks[t] + ")";
  return text;
}

void throw_each_at_its_own_step(const std::string& where) {
  throw Error(ErrorKind::kModel, {.where = where,
                                  .problem = "each task of the run has the weights of its own best step: there is no "
                                             "one adapter to go on from",
                                  .expected = "a run with one best step for all tasks, as of `eval.best: mean`"});
}

}  // namespace moelora::train
