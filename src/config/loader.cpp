#include "config/loader.h"

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "config/task_name.h"
#include "core/suggest.h"

namespace moelora::config {
namespace {

/// `path` from `base`, without "." parts and without a slash at its end.
std::string resolve(const std::filesystem::path& base, const std::string& path) {
  std::filesystem::path whole = (base / path).lexically_normal();
  if (!whole.has_filename() && whole.has_relative_path()) whole = whole.parent_path();
  return whole.string();
}

/// The names that may stand in a section of RunConfig; "" is the root.
std::vector<std::string> names_in(const std::string& section) {
  const std::string prefix = section.empty() ? "" : section + ".";
  std::vector<std::string> names;
  const auto add = [&](std::string name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  };
  for (const auto& field : run_fields()) {
    if (!field.key.starts_with(prefix)) continue;
    const std::string rest = field.key.substr(prefix.size());
    add(rest.substr(0, rest.find('.')));
  }
  if (section.empty()) add("tasks");
  return names;
}

bool is_section(const std::string& key) {
  return std::any_of(run_fields().begin(), run_fields().end(),
                     [&](const auto& field) { return field.key.starts_with(key + "."); });
}

}  // namespace

bool is_text_key(const std::string& key) {
  const auto is_text = [](const Slot& slot) {
    return std::holds_alternative<std::string*>(slot) || std::holds_alternative<std::optional<std::string>*>(slot);
  };
  const std::string_view tasks = "tasks.";
  if (key.starts_with(tasks)) {
    const size_t dot = key.rfind('.');
    TaskConfig task;
    const Field<TaskConfig>* field =
        dot < tasks.size() ? nullptr : find_field(task_fields(), key.substr(dot + 1));  // else a whole task
    return field != nullptr && is_text(field->slot(task));
  }
  RunConfig config;
  const Field<RunConfig>* field = find_field(run_fields(), key);
  return field != nullptr && is_text(field->slot(config));
}

YamlNode argument_node(const std::string& value, bool may_be_yaml, const std::string& where) {
  if (may_be_yaml && (value.starts_with('[') || value.starts_with('{'))) return parse_yaml(value, where);
  YamlNode node{.kind = YamlNode::Kind::kScalar, .scalar = value, .quoted = value.empty()};
  if (value == "null") node.kind = YamlNode::Kind::kNull;
  return node;
}

void Findings::add_about(const std::string& key, ErrorDetails details) {
  if (details.where.empty()) details.where = place_of(key);
  add(std::move(details));
  note_failed(key);
}

std::string Findings::place_of(const std::string& key) const {
  const auto found = places_.find(key);
  return found == places_.end() ? file_name_ : found->second;
}

void Findings::throw_if_any() const {
  if (errors_.empty()) return;
  // What concerns the whole file, then its places from top to bottom, then the command line.
  const auto order = [this](const Error& error) {
    const std::string& where = error.details().where;
    int line = 0;
    int column = 0;
    if (where == file_name_) return std::tuple(0, line, column);
    if (!where.starts_with(file_name_ + ":")) return std::tuple(2, line, column);
    std::sscanf(where.c_str() + file_name_.size(), ":%d:%d", &line, &column);
    return std::tuple(1, line, column);
  };
  std::vector<Error> sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Error& a, const Error& b) { return order(a) < order(b); });
  throw ErrorList(std::move(sorted));
}

Loader::Loader(const std::filesystem::path& file_name, RunConfig* config, Findings* findings)
    : file_name_(file_name.string()),
      base_(std::filesystem::absolute(file_name).parent_path()),
      config_(config),
      findings_(findings) {}

std::string Loader::place(const YamlNode& node) const {
  if (!override_.empty()) return override_;
  return file_name_ + ":" + std::to_string(node.line) + ":" + std::to_string(node.column);
}

void Loader::read_file(const YamlNode& root) {
  if (!root.is_map() && !root.is_null()) {
    throw Error(ErrorKind::kConfig, {.where = place(root),
                                     .problem = "the configuration is not a mapping",
                                     .found = describe(root),
                                     .expected = "keys such as `model:` and `data:`"});
  }
  read_section(root, "");
  resolve_paths("model");
}

void Loader::apply_override(std::string_view text) {
  const std::string_view bare = text.substr(std::min(text.find_first_not_of('-'), text.size()));
  const size_t equals = bare.find('=');
  const std::string key(bare.substr(0, equals));
  override_ = "--" + key;
  base_ = std::filesystem::current_path();
  if (equals == std::string_view::npos) {
    findings_->add({.where = override_, .problem = "has no value", .expected = override_ + "=VALUE"});
    return;
  }
  YamlNode node;
  try {
    node = argument_node(std::string(bare.substr(equals + 1)), !is_text_key(key), override_);
  } catch (const Error& error) {
    findings_->add(error.details());
    return;
  }

  if (key == "tasks") {
    read_tasks(node);
  } else if (key.starts_with("tasks.")) {
    // A task's name may hold dots, its keys don't.
    const std::string rest = key.substr(std::string("tasks.").size());
    const size_t dot = rest.rfind('.');
    const std::string name = rest.substr(0, dot);
    if (!is_task_name(name)) {
      bad_task_name(override_, name);
    } else if (dot == std::string::npos) {
      read_task(name, node);
    } else {
      YamlNode task{.kind = YamlNode::Kind::kMap};
      task.pairs.push_back({YamlNode{.kind = YamlNode::Kind::kScalar, .scalar = rest.substr(dot + 1)}, node});
      read_task(name, task);
    }
  } else if (const std::string options = "template.options."; key.starts_with(options)) {
    const auto kept = config_->chat_template.options;
    YamlNode map{.kind = YamlNode::Kind::kMap};
    map.pairs.push_back({YamlNode{.kind = YamlNode::Kind::kScalar, .scalar = key.substr(options.size())}, node});
    read_key("template.options", map);
    config_->chat_template.options.insert(kept.begin(), kept.end());
  } else if (is_section(key) || find_field(run_fields(), key) != nullptr) {
    read_key(key, node);
  } else {
    const size_t dot = key.rfind('.');
    const std::string section = dot == std::string::npos ? "" : key.substr(0, dot);
    unknown_key(override_, key, names_in(is_section(section) ? section : ""));
  }
  resolve_paths(key);
}

void Loader::resolve_paths(const std::string& key) {
  std::string& model = config_->model;
  if (key != "model" || model.empty()) return;
  std::error_code ignored;
  if (model.starts_with("./") || model.starts_with("../") || model.starts_with("/") ||
      std::filesystem::is_directory(base_ / model, ignored)) {
    model = resolve(base_, model);
  }
}

std::string Loader::key_name(const YamlNode& key, std::map<std::string, int>* seen) {
  if (!key.is_scalar() || key.scalar.empty()) {
    findings_->add({.where = place(key), .problem = "a key that is no name", .found = describe(key)});
    return "";
  }
  const auto [first, is_new] = seen->emplace(key.scalar, key.line);
  if (is_new) return key.scalar;
  findings_->add({.where = place(key),
                  .problem = "key `" + key.scalar + "` is given twice",
                  .hint = "the first is in line " + std::to_string(first->second)});
  return "";
}

void Loader::wrong_type(const std::string& key, const YamlNode& node, std::string expected, std::string hint) {
  findings_->add_about(key, {.where = place(node),
                             .problem = "wrong type for `" + key + "`",
                             .found = describe(node),
                             .expected = std::move(expected),
                             .hint = std::move(hint)});
}

void Loader::unknown_key(const std::string& where, const std::string& key, const std::vector<std::string>& valid) {
  const std::string name = key.substr(key.rfind('.') + 1);
  std::string hint = foreign_key_hint(name);
  if (hint.empty()) hint = did_you_mean(name, valid);
  if (hint.empty()) hint = similar_key_hint(name);
  findings_->add({.where = where,
                  .problem = "unknown key `" + key + "`",
                  .expected = hint.empty() ? "one of " + list_names(valid, valid.size()) : "",
                  .hint = hint});
}

void Loader::read_section(const YamlNode& node, const std::string& section) {
  if (node.is_null()) return;  // a section whose keys are all commented out
  if (!node.is_map()) {
    // LLaMA-Factory's `template: qwen`.
    wrong_type(section, node, "a mapping with " + list_names(names_in(section), 99),
               section == "template" ? "the chat template itself comes from the model" : "");
    return;
  }
  const std::vector<std::string> valid = names_in(section);
  std::map<std::string, int> seen;
  for (const auto& [key, value] : node.pairs) {
    const std::string name = key_name(key, &seen);
    if (name.empty()) continue;
    const std::string full = section.empty() ? name : section + "." + name;
    if (std::find(valid.begin(), valid.end(), name) == valid.end()) {
      unknown_key(place(key), full, valid);
    } else if (full == "tasks") {
      read_tasks(value);
    } else {
      read_key(full, value);
    }
  }
}

void Loader::read_key(const std::string& key, const YamlNode& value) {
  if (key == "data.sources" || (key == "data" && (value.is_scalar() || value.is_list()))) {
    read_sources(value, key);
  } else if (const auto* field = find_field(run_fields(), key)) {
    set_field(key, value, field->slot(*config_));
  } else {
    read_section(value, key);
  }
}

void Loader::set_field(const std::string& key, const YamlNode& value, const Slot& slot) {
  findings_->note_place(key, place(value));
  if (const auto problem = set_value(value, slot)) {
    findings_->add_about(key, {.where = place(*problem->at),
                               .problem = problem->problem + " for `" + key + "`",
                               .found = problem->found,
                               .expected = problem->expected,
                               .hint = problem->hint});
  }
}

template <typename Struct>
void Loader::read_fields(const YamlNode& node, const std::vector<Field<Struct>>& fields, const std::string& section,
                         Struct* owner) {
  std::vector<std::string> valid;
  valid.reserve(fields.size());
  for (const auto& field : fields) valid.push_back(field.key);
  std::map<std::string, int> seen;
  for (const auto& [key, value] : node.pairs) {
    const std::string name = key_name(key, &seen);
    if (name.empty()) continue;
    if (const auto* field = find_field(fields, name)) {
      set_field(section + "." + name, value, field->slot(*owner));
    } else {
      unknown_key(place(key), section + "." + name, valid);
    }
  }
}

void Loader::read_sources(const YamlNode& node, const std::string& key) {
  std::vector<DataSource> sources;
  findings_->note_place("data.sources", place(node));
  if (node.is_scalar()) {
    read_source(node, &sources.emplace_back(), "data.sources[0]");
  } else if (node.is_list()) {
    for (const YamlNode& item : node.items) {
      const std::string name = "data.sources[" + std::to_string(sources.size()) + "]";
      read_source(item, &sources.emplace_back(), name);
    }
  } else {
    wrong_type(key, node, "a path or a list of sources");
    findings_->note_failed("data.sources");
  }
  config_->data.sources = std::move(sources);
}

void Loader::read_source(const YamlNode& node, DataSource* source, const std::string& key) {
  findings_->note_place(key + ".path", place(node));
  if (node.is_scalar()) {
    source->path = node.scalar;
  } else if (node.is_map()) {
    read_fields(node, source_fields(), key, source);
  } else {
    wrong_type(key + ".path", node, "a path or a mapping with `path`");
  }
  if (!source->path.empty()) source->path = resolve(base_, source->path);
}

void Loader::bad_task_name(const std::string& where, const std::string& name) {
  findings_->add({.where = where,
                  .problem = "not a usable name for a task",
                  .found = "`" + name + "`",
                  .expected = kTaskNameRule});
}

void Loader::read_tasks(const YamlNode& node) {
  if (node.is_null()) return;
  if (!node.is_map()) {
    wrong_type("tasks", node, "a mapping from a task's name to its settings",
               "only exceptions stand here; the tasks come from the data");
    return;
  }
  std::map<std::string, int> seen;
  for (const auto& [key, value] : node.pairs) {
    const std::string name = key_name(key, &seen);
    if (name.empty()) continue;
    if (!is_task_name(name)) {
      bad_task_name(place(key), name);
    } else {
      read_task(name, value);
    }
  }
}

void Loader::read_task(const std::string& name, const YamlNode& node) {
  const std::string section = "tasks." + name;
  TaskConfig& task = config_->tasks[name];
  if (node.is_map()) {
    read_fields(node, task_fields(), section, &task);
  } else if (!node.is_null()) {
    wrong_type(section, node, "a mapping such as {metric: macro_f1}");
  }
}

}  // namespace moelora::config
