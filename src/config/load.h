// YAML and command-line overrides -> RunConfig, with every error of the input reported at once (ErrorList, kConfig),
// each as file:line:column, what was found, what was expected and the nearest valid name. Nothing outside the text is
// needed: existence of the model and the data is checked by who opens them.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"

namespace moelora::config {

/// Reads a file. `overrides` are "train.learning_rate=1e-4", with or without leading dashes; a later one wins over an
/// earlier, and all over the file. Relative paths of the file (data; model, where such a directory exists) are taken
/// from the file's directory, those of overrides from the working directory. An empty `output` becomes runs/<name of
/// the file without .yaml>. Throws Error (kConfig) for a file that can't be read, ErrorList (kConfig) for what stands
/// in it.
RunConfig load_config(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

/// The same for text; `file_name` stands in messages and decides what relative paths are relative to.
RunConfig parse_config(std::string_view yaml_text, const std::filesystem::path& file_name,
                       const std::vector<std::string>& overrides = {});

/// The whole configuration, every key written out; parse_config gives it back exactly.
std::string to_yaml(const RunConfig& config);

/// Throws ErrorList (kConfig) for values and combinations no run can have: what load_config checks after parsing, for a
/// RunConfig made in code. `where` stands before each message.
void check_config(const RunConfig& config, std::string_view where);

/// One key, as docs/config.md lists it. A `<task>` part in a key stands for a task's name.
struct KeySchema {
  std::string key;   // "train.learning_rate"
  std::string type;  // "number", "integer", "text", "true | false", "linear | cosine | constant", "list of text" …
  std::string default_value;  // as YAML; empty where none (required, or derived)
  std::string range;          // "> 0"; empty: any
  std::string description;    // one sentence
};
const std::vector<KeySchema>& schema();

}  // namespace moelora::config
