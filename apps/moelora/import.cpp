// moelora import CHECKPOINT CONFIG.yaml
#include "train/import.h"

#include <charconv>
#include <cstdio>
#include <memory>

#include "config/load.h"
#include "core/error.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct ImportFlags {
  std::string checkpoint;
  std::string config;
  std::vector<std::string> tasks;
};

/// "NAME=ID".
std::pair<std::string, int64_t> read_task(const std::string& text) {
  const size_t equals = text.rfind('=');
  int64_t id = 0;
  const char* const end = text.data() + text.size();
  const char* const begin = equals == std::string::npos ? end : text.data() + equals + 1;
  const auto [rest, problem] = std::from_chars(begin, end, id);
  if (problem != std::errc() || rest != end || equals == 0) {
    throw Error(ErrorKind::kUsage,
                {.where = "--task", .problem = "not a task with its id", .found = text, .expected = "NAME=ID"});
  }
  return {text.substr(0, equals), id};
}

void run_import(const ImportFlags& own, const std::vector<std::string>& overrides) {
  train::ImportOptions options{.checkpoint = own.checkpoint, .tasks = {}};
  for (const std::string& text : own.tasks) {
    if (!options.tasks.insert(read_task(text)).second) {
      throw Error(ErrorKind::kUsage, {.where = "--task", .problem = "a task is given twice", .found = text});
    }
  }
  const config::RunConfig config = config::load_config(own.config, overrides);
  train::import_moelora(config, options);
  std::printf("result: %s\n", config.output.c_str());
}

}  // namespace

void add_import(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb =
      add_verb(app, "import", "a checkpoint of the public MOELoRA code as a finished run; nothing in it is executed",
               "moelora import saved/moelora run.yaml --task CMeIE=1 --task CHIP-CDN=2");
  const auto own = std::make_shared<ImportFlags>();
  verb->add_option("checkpoint", own->checkpoint,
                   "directory of adapter_config.json and adapter_model.bin or .safetensors")
      ->required();
  verb->add_option("config", own->config, "configuration: model, data, output")->required();
  verb->add_option("--task", own->tasks, "a task of the data and the id its rows had there: NAME=ID, for each task")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->allow_extras();
  verb->callback([verb, own] { run_import(*own, config_overrides(*verb)); });
}

}  // namespace moelora::app
