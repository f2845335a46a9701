#include "train/export_peft.h"

#include <set>

#include "config/enum_names.h"
#include "core/error.h"
#include "io/peft_adapter.h"

namespace moelora::train {
namespace {

std::string markdown_row(const data::SourceFile& source) {
  return "| " + source.path + " | " + std::string(data::split_name(source.split)) + " | " + std::to_string(source.rows) + " | " +
         (source.licence.empty() ? "not stated" : source.licence) + " | `" + source.hash + "` |\n";
}

}  // namespace

std::string model_card(const OpenRun& run, const std::string& task) {
  const config::RunConfig& config = run.saved.config;
  std::string options;
  for (const auto& [name, value] : config.chat_template.options) options += (options.empty() ? "" : ", ") + name + ": " + value;
  std::string card = "---\nbase_model: " + config.model + "\nlibrary_name: peft\ntags: [lora, moelora]\n---\n\n# " + task + "\n\n" +
                     "A LoRA adapter for the task `" + task + "`, collapsed exactly from a multi-task adapter (method `" +
                     config::name_of(config.adapter.method) + "` of moelora, after MOELoRA, arXiv 2310.18339). alpha equals rank: gate weights and scale are part of B.\n\n" +
                     "| | |\n|---|---|\n" + "| base model | " + config.model + " |\n" + "| base weights (XXH3-128) | `" + run.base_hash +
                     "` |\n" + "| chat template (XXH3-128) | " +
                     (run.saved.template_hash.empty() ? "none" : "`" + run.saved.template_hash + "`") + " |\n" +
                     "| template options | " + (options.empty() ? "none" : options) + " |\n" + "| system message | " +
                     (config.chat_template.system.empty() ? "none" : config.chat_template.system) + " |\n" + "| trained on tasks | ";
  for (size_t i = 0; i < run.saved.tasks.size(); ++i) card += (i == 0 ? "" : ", ") + run.saved.tasks[i].name;
  card += " |\n| optimizer steps | " + std::to_string(run.saved.step) + " |\n\n## Data\n\n" +
          "The experts are shared by all tasks, so this adapter holds what the data of every task taught them:\n\n" +
          "| file | split | rows | licence | XXH3-128 |\n|---|---|---|---|---|\n";
  for (const data::SourceFile& source : run.saved.sources) card += markdown_row(source);
  return card;
}

void export_peft(const OpenRun& run, const std::string& task, const std::filesystem::path& dir) {
  const int64_t index = run.task_index(task);
  if (!run.model.adapters) {
    throw Error(ErrorKind::kModel, {.where = run.dir.string(),
                                    .problem = "a run of method `full` has no adapter to export",
                                    .hint = "its model/ directory is an ordinary Hugging Face model"});
  }
  io::PeftAdapter adapter{.base_model_name_or_path = run.saved.config.model};
  std::set<std::string> targets;
  for (adapters::CollapsedLinear& linear : run.model.adapters->collapse(index)) {
    adapter.r = linear.a.size(0);
    targets.insert(linear.path.substr(linear.path.rfind('.') + 1));
    adapter.modules[linear.path] = {std::move(linear.a), std::move(linear.b)};
  }
  adapter.target_modules.assign(targets.begin(), targets.end());
  adapter.readme = model_card(run, task);
  io::write_peft_adapter(dir, adapter);
}

}  // namespace moelora::train
