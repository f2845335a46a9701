#include "train/saved_adapter.h"

#include "config/load.h"
#include "core/error.h"
#include "io/artefact.h"

namespace moelora::train {
namespace {

constexpr int kFormatVersion = 1;

nlohmann::json source_json(const data::SourceFile& source) {
  return {{"path", source.path},
          {"split", data::split_name(source.split)},
          {"format", source.format},
          {"hash", source.hash},
          {"licence", source.licence},
          {"rows", source.rows}};
}

data::SourceFile source_from(const nlohmann::json& json) {
  data::SourceFile source{.path = json.at("path"), .format = json.at("format"), .hash = json.at("hash"), .licence = json.at("licence")};
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

void save_adapter(const std::filesystem::path& dir, const SavedAdapter& saved) {
  nlohmann::json tasks = nlohmann::json::array(), sources = nlohmann::json::array();
  for (const SavedTask& task : saved.tasks) tasks.push_back({{"name", task.name}, {"task_type", task.task_type}});
  for (const data::SourceFile& source : saved.sources) sources.push_back(source_json(source));
  io::Artefact artefact{.config = {{"format_version", kFormatVersion},
                                   {"tasks", tasks},
                                   {"base", {{"model", saved.config.model}, {"hash", saved.base_hash}}},
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
    for (const nlohmann::json& task : json.at("tasks")) saved.tasks.push_back({task.at("name"), task.at("task_type")});
    for (const nlohmann::json& source : json.at("sources")) saved.sources.push_back(source_from(source));
    saved.base_hash = json.at("base").at("hash");
    saved.tokenizer_hash = json.at("tokenizer_hash");
    saved.template_hash = json.at("template_hash");
    saved.step = json.at("step");
    saved.tensors = std::move(artefact.tensors);
    return saved;
  } catch (const nlohmann::json::exception& problem) {
    throw Error(ErrorKind::kModel, {.where = where, .problem = "not an adapter that moelora wrote", .found = problem.what()});
  }
}

}  // namespace moelora::train
