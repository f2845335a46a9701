#include "config/load.h"

#include "config/loader.h"
#include "config/preset.h"
#include "config/yaml_tree.h"

namespace moelora::config {

RunConfig load_config(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return parse_config(read_yaml_file(path), path, overrides);
}

RunConfig parse_config(std::string_view yaml_text, const std::filesystem::path& file_name,
                       const std::vector<std::string>& overrides) {
  YamlNode root;
  Findings findings(file_name.string());
  const auto fill = [&](RunConfig config, Findings* problems) {
    Loader loader(file_name, &config, problems);
    loader.read_file(root);
    for (const std::string& text : overrides) loader.apply_override(text);
    return config;
  };
  RunConfig config;
  try {
    root = parse_yaml(yaml_text, file_name.string());
    config = fill(RunConfig{}, &findings);
    if (config.preset != Preset::kNone) {  // again, over other defaults
      findings = Findings(file_name.string());
      config = fill(preset_config(config.preset), &findings);
      // Passes over the data that are asked for aren't cut short by the preset's steps.
      if (findings.is_given("train.epochs") && !findings.is_given("train.max_steps")) config.train.max_steps = 0;
    }
  } catch (const Error& error) {  // nothing to read keys from
    throw ErrorList({error});
  }
  if (config.output.empty()) config.output = (std::filesystem::path("runs") / file_name.stem()).string();
  check_values(config, &findings);
  findings.throw_if_any();
  return config;
}

}  // namespace moelora::config
