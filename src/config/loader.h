// Fills a RunConfig from a YAML tree and from overrides, collecting errors and where each key was given. Internal to
// src/config.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/fields.h"
#include "config/run_config.h"
#include "config/yaml_tree.h"
#include "core/error.h"

namespace moelora::config {

/// Where keys were given and what was wrong with them.
class Findings {
 public:
  explicit Findings(std::string file_name) : file_name_(std::move(file_name)) {}

  void add(ErrorDetails details) { errors_.emplace_back(ErrorKind::kConfig, std::move(details)); }
  /// An error about the value of `key`, reported where it was given; further errors about that key are not wanted.
  void add_about(const std::string& key, ErrorDetails details);
  void note_place(const std::string& key, std::string where) { places_[key] = std::move(where); }
  void note_failed(const std::string& key) { failed_.insert(key); }

  /// "file:line:column" or "--key" of the place that decided the value; the file's name for a default.
  std::string place_of(const std::string& key) const;
  bool is_given(const std::string& key) const { return places_.contains(key); }
  bool has_failed(const std::string& key) const { return failed_.contains(key); }

  /// Throws ErrorList where there is any.
  void throw_if_any() const;

 private:
  std::string file_name_;
  std::map<std::string, std::string> places_;
  std::set<std::string> failed_;
  std::vector<Error> errors_;
};

class Loader {
 public:
  /// `config` and `findings` outlive the loader.
  Loader(const std::filesystem::path& file_name, RunConfig* config, Findings* findings);

  void read_file(const YamlNode& root);
  /// "train.learning_rate=1e-4".
  void apply_override(std::string_view text);

 private:
  std::string place(const YamlNode& node) const;
  void read_section(const YamlNode& node, const std::string& section);
  void read_key(const std::string& key, const YamlNode& value);
  void read_sources(const YamlNode& node, const std::string& key);
  void read_source(const YamlNode& node, DataSource* source, const std::string& key);
  void read_tasks(const YamlNode& node);
  void read_task(const std::string& name, const YamlNode& node);
  template <typename Struct>
  void read_fields(const YamlNode& node, const std::vector<Field<Struct>>& fields, const std::string& section,
                   Struct* owner);
  void set_field(const std::string& key, const YamlNode& value, const Slot& slot);
  /// The name a key node stands for, once for each name of a map; "" after an error.
  std::string key_name(const YamlNode& key, std::map<std::string, int>* seen);
  void wrong_type(const std::string& key, const YamlNode& node, std::string expected, std::string hint = {});
  /// `key` is the whole dotted key.
  void unknown_key(const std::string& where, const std::string& key, const std::vector<std::string>& valid);
  void bad_task_name(const std::string& where, const std::string& name);
  void resolve_paths(const std::string& key);

  std::string file_name_;
  std::filesystem::path base_;  // what relative paths are relative to
  std::string override_;        // "--key" while an override is read
  RunConfig* config_;
  Findings* findings_;
};

/// Whether a key's value is text as it stands, which may begin with a bracket.
bool is_text_key(const std::string& key);

/// What an argument of the command line is: itself, null or, where `may_be_yaml` and it begins with a bracket, a list
/// or mapping. Throws Error (kConfig), naming `where`, for what isn't YAML then.
YamlNode argument_node(const std::string& value, bool may_be_yaml, const std::string& where);

/// Adds what is wrong with values and combinations.
void check_values(const RunConfig& config, Findings* findings);

}  // namespace moelora::config
