// moelora validate CONFIG.yaml
#include <cstdio>
#include <memory>

#include "config/load.h"
#include "core/log.h"
#include "train/setup.h"
#include "verbs.h"

namespace moelora::app {
namespace {

void run_validate(const std::string& path, const std::vector<std::string>& overrides) {
  const train::RunSetup setup = train::prepare_data(config::load_config(path, overrides));
  for (const std::string& warning : setup.dataset.warnings) log_warn(warning);
  std::printf("valid: %zu tasks, %lld training, %lld dev and %lld test rows\n", setup.dataset.tasks.size(),
              static_cast<long long>(setup.dataset.rows(data::Split::kTrain)),
              static_cast<long long>(setup.dataset.rows(data::Split::kDev)),
              static_cast<long long>(setup.dataset.rows(data::Split::kTest)));
}

}  // namespace

void add_validate(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(app, "validate",
                            "everything that can be wrong with a configuration and its data, before weights are loaded",
                            "moelora validate config.yaml");
  const auto path = std::make_shared<std::string>();
  verb->add_option("config", *path, "configuration (docs/config.md)")->required();
  verb->allow_extras();
  verb->callback([verb, path] { run_validate(*path, config_overrides(*verb)); });
}

}  // namespace moelora::app
