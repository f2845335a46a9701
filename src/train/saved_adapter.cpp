#include "train/saved_adapter.h"

#include <ATen/core/grad_mode.h>

#include <map>

#include "adapters/given_weights.h"
#include "adapters/snapshot_weights.h"
#include "adapters/token_gate.h"
#include "config/load.h"
#include "config/method.h"
#include "core/error.h"
#include "io/artefact.h"
#include "train/snapshots.h"

namespace moelora::train {
namespace {

constexpr int kFormatVersion = 1;

nlohmann::json source_json(const data::SourceFile& source) {
  return {{"path", source.path},       {"split", data::split_name(source.split)},
          {"format", source.format},   {"hash", source.hash},
          {"licence", source.licence}, {"rows", source.rows}};
}

data::SourceFile source_from(const nlohmann::json& json) {
  data::SourceFile source{
      .path = json.at("path"), .format = json.at("format"), .hash = json.at("hash"), .licence = json.at("licence")};
  source.rows = json.at("rows");
  for (const data::Split split : data::kSplits) {
    if (json.at("split") == data::split_name(split)) source.split = split;
  }
  return source;
}

}  // namespace

std::vector<std::string> SavedAdapter::task_names() const {
  std::vector<std::string> names;
  for (const SavedTask& task : tasks) names.push_back(task.name);
  return names;
}

std::vector<int64_t> SavedAdapter::task_steps() const {
  std::vector<int64_t> steps;
  for (const SavedTask& task : tasks) steps.push_back(task.step);
  return steps;
}

adapters::TaskList SavedAdapter::task_list() const {
  return train::task_list(task_names(), config, task_steps());
}

void save_adapter(const std::filesystem::path& dir, const SavedAdapter& saved) {
  nlohmann::json tasks = nlohmann::json::array(), sources = nlohmann::json::array();
  for (const SavedTask& task : saved.tasks)
    tasks.push_back({{"name", task.name}, {"task_type", task.task_type}, {"step", task.step}});
  for (const data::SourceFile& source : saved.sources) sources.push_back(source_json(source));
  io::Artefact artefact{
      .config = {{"format_version", kFormatVersion},
                 {"tasks", tasks},
                 {"base", {{"model", saved.config.model}, {"hash", saved.base_hash}, {"shape_hash", saved.shape_hash}}},
                 {"special_tokens_hash", saved.special_tokens_hash},
                 {"machine", saved.machine},
                 {"tokenizer_hash", saved.tokenizer_hash},
                 {"template_hash", saved.template_hash},
                 {"sources", sources},
                 {"step", saved.step},
                 {"config_yaml", config::to_yaml(saved.config)}},
      .tensors = saved.tensors};
  io::write_artefact(dir, artefact);
}

SavedAdapter load_adapter(const std::filesystem::path& dir) {
  io::Artefact artefact = io::read_artefact(dir);
  const std::string where = (dir / "moelora_config.json").string();
  try {
    const nlohmann::json& json = artefact.config;
    if (json.at("format_version") != kFormatVersion) {
      throw Error(ErrorKind::kModel, {.where = where + ": `format_version`",
                                      .problem = "written by another version of moelora",
                                      .found = json["format_version"].dump(),
                                      .expected = std::to_string(kFormatVersion)});
    }
    SavedAdapter saved;
    saved.config = config::parse_config(json.at("config_yaml").get<std::string>(), where + ": config_yaml");
    saved.step = json.at("step");
    for (const nlohmann::json& task : json.at("tasks"))
      saved.tasks.push_back({task.at("name"), task.at("task_type"), task.value("step", saved.step)});
    for (const nlohmann::json& source : json.at("sources")) saved.sources.push_back(source_from(source));
    saved.base_hash = json.at("base").at("hash");
    saved.shape_hash = json.at("base").value("shape_hash", "");
    saved.special_tokens_hash = json.value("special_tokens_hash", "");
    saved.machine = json.value("machine", nlohmann::json::object());
    saved.tokenizer_hash = json.at("tokenizer_hash");
    saved.template_hash = json.at("template_hash");
    saved.tensors = std::move(artefact.tensors);
    return saved;
  } catch (const nlohmann::json::exception& problem) {
    throw Error(ErrorKind::kModel,
                {.where = where, .problem = "not an adapter that moelora wrote", .found = problem.what()});
  }
}

std::vector<adapters::GateTable> gates_of(const SavedAdapter& saved) {
  const config::AdapterConfig& adapter = saved.config.adapter;
  const adapters::TaskList list = saved.task_list();
  const std::vector<std::string>& tasks = list.names;
  if (adapter.method == config::Method::kMolora) adapters::throw_not_linear_in_the_task();
  if (adapter.method == config::Method::kLora || adapter.method == config::Method::kLoraTaskPrompt) {
    return {adapters::gate_table("none: plain LoRA", adapters::PlainMixer(adapter.rank), tasks.size())};
  }
  if (adapter.method == config::Method::kUniform) {
    return {adapters::gate_table("none: uniform", adapters::UniformMixer(adapter.rank, adapter.experts), tasks.size())};
  }
  const std::map<std::string, at::Tensor> tensors(saved.tensors.begin(), saved.tensors.end());
  if (config::is_made_of_runs(adapter.method)) {
    const int64_t experts = list.group_count();
    const adapters::GivenWeights mixer(list.size(), experts, experts * adapter.rank);
    const at::NoGradGuard no_grad;
    at::Tensor table = mixer.parameters()[0].second;
    table.copy_(tensors.at("expert_weights"));
    return {adapters::gate_table("none: weights of the tasks' LoRAs", mixer, tasks.size())};
  }
  const auto name_of = [](const std::string& parameter, size_t suffix) {
    return parameter.size() <= suffix ? "shared" : parameter.substr(0, parameter.size() - suffix);
  };
  std::vector<adapters::GateTable> gates;
  const at::NoGradGuard no_grad;
  if (!list.snapshots.empty()) {
    for (const auto& [name, value] : tensors) {
      constexpr std::string_view kWeights = "expert_weights";
      if (!name.ends_with(kWeights)) continue;
      const adapters::SnapshotWeights mixer(
          {.name = name, .rank = adapter.rank, .experts = adapter.experts, .snapshots = list.snapshots});
      at::Tensor table = mixer.parameters()[0].second;
      table.copy_(value);
      gates.push_back(adapters::gate_table(name_of(name, kWeights.size() + 1), mixer, tasks.size()));
    }
    return gates;
  }
  const auto embedding = std::make_shared<adapters::TaskEmbedding>(list, adapter.gate.embedding_size, 0);
  for (const auto& [name, value] : tensors) {
    if (name != "gate" && !name.ends_with(".gate")) continue;
    const adapters::TaskGate gate({.name = name,
                                   .rank = adapter.rank,
                                   .experts = adapter.experts,
                                   .mean_one = adapter.gate.normalise == config::GateNormalise::kMeanOne},
                                  embedding);
    at::Tensor table = embedding->table, weights = gate.parameters()[0].second;
    table.copy_(tensors.at("task_embedding"));
    weights.copy_(value);
    gates.push_back(adapters::gate_table(name_of(name, 5), gate, tasks.size()));
  }
  return gates;
}

}  // namespace moelora::train
