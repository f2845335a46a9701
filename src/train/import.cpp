#include "train/import.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>

#include "config/load.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/suggest.h"
#include "io/published_moelora.h"
#include "train/finish.h"
#include "train/foreign_adapter.h"
#include "train/machine.h"
#include "train/setup.h"

namespace moelora::train {
namespace {

/// What the checkpoint decides of the configuration. Its linears are named one by one: whatever wrapped them there.
void take_over(const io::PublishedMoelora& checkpoint, config::AdapterConfig* adapter) {
  adapter->method = config::Method::kMoelora;
  adapter->rank = checkpoint.rank;
  adapter->alpha = checkpoint.alpha;
  adapter->experts = checkpoint.experts;
  adapter->dropout = checkpoint.dropout;
  adapter->init_a = config::InitA::kNormal;
  adapter->gate = {.scope = config::GateScope::kShared,
                   .normalise = config::GateNormalise::kSumOne,
                   .embedding_size = checkpoint.gate.size(1)};
  adapter->start.clear();
  std::set<std::string> names;
  for (const auto& [module, pair] : checkpoint.modules) names.insert(module.substr(module.rfind('.') + 1));
  adapter->targets = {names.begin(), names.end()};
}

/// The embedding's rows in the order of the run's tasks or groups of them, [groups, d_t].
void take_tasks(const RunSetup& setup, const io::PublishedMoelora& checkpoint, const ImportOptions& options,
                at::Tensor table) {
  const config::TaskGroups groups = setup.groups();
  std::vector<std::string> known;
  std::map<int64_t, int64_t> taken;  // group -> id
  for (size_t t = 0; t < setup.dataset.tasks.size(); ++t) {
    const std::string& name = setup.dataset.tasks[t].name;
    known.push_back(name);
    const auto id = options.tasks.find(name);
    if (id == options.tasks.end()) {
      throw Error(ErrorKind::kUsage,
                  {.where = "--task",
                   .problem = "no id is given for task `" + name + "` of the data",
                   .hint = "--task " + name + "=ID, the id its rows had when the checkpoint was trained"});
    }
    if (id->second < 0 || id->second >= checkpoint.task_embedding.size(0)) {
      throw Error(ErrorKind::kUsage, {.where = "--task " + name,
                                      .problem = "the checkpoint has no such task",
                                      .found = std::to_string(id->second),
                                      .expected = "0 to " + std::to_string(checkpoint.task_embedding.size(0) - 1)});
    }
    if (const int64_t other = taken.try_emplace(groups.of_task[t], id->second).first->second; other != id->second) {
      throw Error(ErrorKind::kUsage, {.where = "--task " + name,
                                      .problem = "tasks of one group have one embedding",
                                      .found = std::to_string(id->second),
                                      .expected = std::to_string(other) + ", the id of another task of its group"});
    }
    table[groups.of_task[t]].copy_(checkpoint.task_embedding[id->second]);
  }
  for (const auto& [name, id] : options.tasks) {
    if (std::ranges::find(known, name) != known.end()) continue;
    throw Error(ErrorKind::kUsage, {.where = "--task " + name,
                                    .problem = "the data have no such task",
                                    .expected = list_names(known),
                                    .hint = did_you_mean(name, known)});
  }
}

}  // namespace

void import_moelora(config::RunConfig config, const ImportOptions& options) {
  const io::PublishedMoelora checkpoint = io::read_published_moelora(options.checkpoint);
  take_over(checkpoint, &config.adapter);
  config::check_config(config, "the configuration with what the checkpoint says");
  const std::filesystem::path output = config.output;
  if (std::filesystem::exists(output)) {
    throw Error(ErrorKind::kIo,
                {.where = output.string(), .problem = "exists already", .hint = "give another `output`"});
  }
  RunSetup setup = prepare_data(std::move(config));
  load_model(setup);
  const at::NoGradGuard no_grad;
  for (const auto& [name, master] : setup.model.adapters->parameters()) {
    if (name == adapters::kTaskEmbedding) take_tasks(setup, checkpoint, options, master);
    if (name == adapters::kGate) master.copy_(checkpoint.gate);
  }
  fill_linears(*setup.model.adapters, checkpoint.modules, options.checkpoint.string(),
               [](const LinearAdapter& linear, const io::LoraPair& pair) {
                 linear.a.copy_(pair.a);
                 linear.b.copy_(pair.b);
               });
  const RunLock lock(output);
  write_file_atomically(output / "config.yaml", config::to_yaml(resolved(setup.config)));
  write_artefact(setup, 0);  // last: it is what makes a run finished
}

}  // namespace moelora::train
