// What a comparison changes of a configuration: mappings as overrides, checked against the table of keys where they
// stand. Internal to src/config.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/yaml_tree.h"
#include "core/error.h"

namespace moelora::config {

/// Takes an error about a node; `details.where` is for it to fill.
using ReportChange = std::function<void(const YamlNode& at, ErrorDetails details)>;

/// {adapter: {method: lora}} and {adapter.method: lora} -> "adapter.method=lora". Keys that aren't there or stand there
/// twice, values of another type, and what must be one for all runs are reported and left out.
std::vector<std::string> read_changes(const YamlNode& mapping, const ReportChange& report);

/// "adapter.method" of "adapter.method=lora".
std::string key_of(const std::string& change);

/// Whether a configuration has such a key or section.
bool is_config_key(const std::string& name);

}  // namespace moelora::config
