#include "train/saved_adapter.h"

#include <map>

#include "adapters/mixers.h"
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

std::unique_ptr<adapters::AdapterSet> attach_saved(nn::Decoder& decoder, const SavedAdapter& saved) {
  auto set =
      std::make_unique<adapters::AdapterSet>(decoder, saved.config.adapter, saved.task_list(), saved.config.train.seed);
  set->load(saved.tensors);
  return set;
}

std::vector<adapters::GateTable> gates_of(const SavedAdapter& saved) {
  const config::AdapterConfig& adapter = saved.config.adapter;
  if (!config::is_linear_in_the_task(adapter.method)) adapters::throw_not_linear_in_the_task();
  const std::string no_gate(config::traits(adapter.method).no_gate);
  const std::map<std::string, at::Tensor> tensors(saved.tensors.begin(), saved.tensors.end());
  adapters::Mixers mixers(adapter, saved.task_list(), /*seed=*/0);
  constexpr const char* kWhat = "adapter tensor";
  std::vector<adapters::GateTable> gates;
  for (const auto& [name, value] : tensors) {
    constexpr std::string_view kOfEachLinear = ".lora_B";
    if (!name.ends_with(kOfEachLinear)) continue;
    std::string path = name.substr(0, name.size() - kOfEachLinear.size());
    const auto mixer = mixers.of(path, /*in=*/0);
    adapters::copy_by_name(mixers.shared_parameters(), tensors, kWhat);
    adapters::copy_by_name(mixer->parameters(), tensors, kWhat);
    if (mixers.of_all()) path = no_gate.empty() ? "shared" : "none: " + no_gate;
    gates.push_back(adapters::gate_table(std::move(path), *mixer, saved.tasks.size()));
    if (mixers.of_all()) break;
  }
  return gates;
}

}  // namespace moelora::train
