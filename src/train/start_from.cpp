#include "train/start_from.h"

#include <algorithm>
#include <map>

#include "config/enum_names.h"
#include "config/method.h"
#include "core/error.h"
#include "core/hash.h"
#include "train/foreign_adapter.h"
#include "train/saved_adapter.h"
#include "train/snapshots.h"

namespace moelora::train {
namespace {

[[noreturn]] void fail(std::string problem, std::string found, std::string expected) {
  throw Error(ErrorKind::kConfig, {.where = "adapter.start",
                                   .problem = std::move(problem),
                                   .found = std::move(found),
                                   .expected = std::move(expected)});
}

/// What weighs an adapter's tensors and is in none of them.
std::string strength(const config::AdapterConfig& adapter) {
  char alpha[32];
  std::snprintf(alpha, sizeof alpha, "alpha %g", adapter.alpha);
  if (!config::mixes_experts(adapter.method)) return alpha;
  return alpha + (", weights of " + std::to_string(adapter.experts) + " experts of ") +
         (config::experts_share_one(adapter) ? "sum 1" : "mean 1");
}

}  // namespace

std::string start_hash(const std::filesystem::path& start) {
  if (is_peft_adapter(start)) return peft_hash(start);
  const std::filesystem::path manifest = start / "adapter" / "manifest.json";
  if (!std::filesystem::exists(manifest)) {
    throw Error(ErrorKind::kModel, {.where = "adapter.start",
                                    .problem = "neither a finished run with an adapter nor a PEFT LoRA stands there",
                                    .found = start.string()});
  }
  return hash_file_hex(manifest);
}

void start_from(const RunSetup& setup, const std::filesystem::path& start) {
  if (is_peft_adapter(start)) return start_from_peft(setup, start);
  const config::AdapterConfig& own = setup.config.adapter;
  const SavedAdapter saved = load_adapter(start / "adapter");
  if (saved.config.adapter.method != own.method) {
    fail("a run of another method", config::name_of(saved.config.adapter.method), config::name_of(own.method));
  }
  if (saved.base_hash != setup.identity.base)
    fail("the run has another base, by the hash of its weights", saved.base_hash, setup.identity.base);

  if (const std::string was = strength(saved.config.adapter), is = strength(own); was != is)
    fail("the run's adapter would be of another strength here", was, is);

  const adapters::TaskList known = saved.task_list();
  if (!known.snapshots.empty()) throw_each_at_its_own_step("adapter.start");
  const std::map<std::string, at::Tensor> given(saved.tensors.begin(), saved.tensors.end());
  const config::TaskGroups groups = setup.groups();
  const auto row = [](const std::vector<int64_t>& rows, int64_t task) { return rows.empty() ? task : rows[task]; };
  std::vector<adapters::NamedTensor> values;
  for (const auto& [name, master] : setup.model.adapters->parameters()) {
    const auto value = given.find(name);
    const bool embedding = name == adapters::kTaskEmbedding;  // its rows are tasks: other tasks may be there
    if (value == given.end() ||
        value->second.sizes().slice(embedding ? 1 : 0) != master.sizes().slice(embedding ? 1 : 0)) {
      fail("the run's adapter has another shape", "no fitting `" + name + "`",
           "the same rank, experts, targets and gate");
    }
    at::Tensor copy = embedding ? master.detach().clone() : value->second;
    // Of a group, that of its first known task.
    for (size_t t = setup.dataset.tasks.size(); embedding && t-- > 0;) {
      const auto task = std::ranges::find(known.names, setup.dataset.tasks[t].name);
      if (task == known.names.end()) continue;
      copy[groups.of_task[t]].copy_(value->second[row(known.groups, task - known.names.begin())]);
    }
    values.emplace_back(name, copy);
  }
  setup.model.adapters->load(values);
}

}  // namespace moelora::train
