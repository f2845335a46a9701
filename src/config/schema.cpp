// The table of keys as text: the resolved YAML and the list behind docs/config.md.
#include <algorithm>

#include "config/fields.h"
#include "config/load.h"

namespace moelora::config {
namespace {

template <typename Struct>
void describe_fields(const std::vector<Field<Struct>>& fields, const std::string& prefix,
                     std::vector<KeySchema>* keys) {
  Struct defaults;
  for (const Field<Struct>& field : fields) {
    const Slot slot = field.slot(defaults);
    std::string default_value = value_text(slot).value_or("");
    if (default_value == "\"\"" || default_value == "[]" || default_value == "{}") default_value.clear();
    keys->push_back({prefix + field.key, type_name(slot), default_value, field.range.text(), field.description});
  }
}

/// "{path: data, task: report}": the fields that are set, on one line.
template <typename Struct>
std::string flow_map(const Struct& owner, const std::vector<Field<Struct>>& fields) {
  Struct copy = owner;
  std::string text = "{";
  for (const Field<Struct>& field : fields) {
    const auto value = value_text(field.slot(copy));
    if (!value || *value == "[]") continue;
    text += (text.size() == 1 ? "" : ", ") + field.key + ": " + *value;
  }
  return text + "}";
}

class YamlWriter {
 public:
  /// `value` begins with a space, or with a newline for a block.
  void key(const std::string& dotted, const std::string& value) {
    const size_t last = dotted.rfind('.');
    const std::string section = last == std::string::npos ? "" : dotted.substr(0, last);
    enter(section);
    text_ += indent(section) + dotted.substr(last + 1) + ":" + value + "\n";
  }
  std::string take() { return std::move(text_); }

 private:
  static std::string indent(const std::string& section) {
    if (section.empty()) return "";
    std::string spaces = "  ";
    for (const char c : section) spaces += c == '.' ? "  " : "";
    return spaces;
  }
  /// Opens the sections of `section` that aren't open: keys of one section stand together in the table.
  void enter(const std::string& section) {
    for (size_t end = 0; end < section.size();) {
      end = std::min(section.find('.', end + 1), section.size());
      const std::string part = section.substr(0, end);
      if (section_ == part || section_.starts_with(part + ".")) continue;
      const size_t dot = part.rfind('.');
      text_ += indent(dot == std::string::npos ? "" : part.substr(0, dot)) + part.substr(dot + 1) + ":\n";
    }
    section_ = section;
  }

  std::string text_;
  std::string section_;
};

}  // namespace

std::string to_yaml(const RunConfig& config) {
  RunConfig copy = config;
  YamlWriter writer;
  for (const Field<RunConfig>& field : run_fields()) {
    const Slot slot = field.slot(copy);
    std::string value;
    if (const auto* const* sources = std::get_if<std::vector<DataSource>*>(&slot)) {
      for (const DataSource& source : **sources) value += "\n    - " + flow_map(source, source_fields());
      if (value.empty()) value = " []";
    } else {
      value = " " + value_text(slot).value_or("null");
    }
    writer.key(field.key, value);
  }
  std::string tasks;
  for (const auto& [name, task] : config.tasks) {
    tasks += "\n  " + yaml_text(name) + ": " + flow_map(task, task_fields());
  }
  writer.key("tasks", tasks.empty() ? " {}" : tasks);
  return writer.take();
}

const std::vector<KeySchema>& schema() {
  static const std::vector<KeySchema> keys = [] {
    std::vector<KeySchema> made;
    describe_fields(run_fields(), "", &made);
    describe_fields(source_fields(), "data.sources[].", &made);
    describe_fields(task_fields(), "tasks.<task>.", &made);
    return made;
  }();
  return keys;
}

}  // namespace moelora::config
