#include "train/model_card.h"

#include <nlohmann/json.hpp>

#include "config/enum_names.h"
#include "config/method.h"
#include "core/error.h"
#include "eval/metric.h"
#include "io/hf_model.h"

namespace moelora::train {
namespace {

/// Text in a cell of a Markdown table: one line, with nothing that ends the cell.
std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|' || c == '\\' || c == '`' || c == '<') safe += '\\';
    safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return safe.empty() ? "none" : safe;
}

std::string row(const std::string& name, const std::string& value) {
  return "| " + name + " | " + value + " |\n";
}

std::string code(const std::string& hash) {
  return hash.empty() ? "none" : "`" + hash + "`";
}

config::TaskConfig settings_of(const OpenRun& run, const std::string& task) {
  const auto found = run.saved.config.tasks.find(task);
  return found == run.saved.config.tasks.end() ? config::TaskConfig{} : found->second;
}

/// tasks.<task>.metric, else that of the rows' task_type.
std::string metric_of(const OpenRun& run, const std::string& task) {
  const config::TaskConfig settings = settings_of(run, task);
  if (settings.metric) return *settings.metric;
  const std::string& type = run.saved.tasks[run.task_index(task)].task_type;
  try {
    return eval::default_metric(type, "task_type");
  } catch (const Error&) {
    return "not stated";
  }
}

std::string front_matter(const OpenRun& run, ExportFormat format) {
  std::string text = "---\nbase_model: " + nlohmann::json(run.saved.config.model).dump() + "\n";
  switch (format) {
    case ExportFormat::kPeft:
      text += "base_model_relation: adapter\nlibrary_name: peft\ntags: [lora, moelora]\n";
      break;
    case ExportFormat::kGguf:
      text += "base_model_relation: adapter\nlibrary_name: llama.cpp\ntags: [gguf, lora, moelora]\n";
      break;
    case ExportFormat::kMerged:
      text += "base_model_relation: finetune\nlibrary_name: transformers\ntags: [moelora]\n";
      break;
  }
  return text + "---\n\n";
}

std::string description(const std::string& task, const config::RunConfig& config, const ExportOptions& exported) {
  const std::string origin = "collapsed exactly from a multi-task adapter (method `" +
                             config::name_of(config.adapter.method) + "` of moelora, after MOELoRA, arXiv 2310.18339).";
  switch (exported.format) {
    case ExportFormat::kPeft:
      return "A LoRA adapter for the task `" + task + "`, " + origin +
             " alpha equals rank: gate weights and scale are part of B.";
    case ExportFormat::kGguf:
      return "A LoRA adapter for the task `" + task +
             "`, for llama.cpp (`--lora adapter.gguf`, beside the base converted "
             "to GGUF), " +
             origin + " Its scale is 1: gate weights and alpha / rank are part of B.";
    case ExportFormat::kMerged:
      return "The base model with a LoRA adapter for the task `" + task +
             "` merged into its weights; the adapter was " + origin + " Merged in float32 from the base's " +
             (exported.onto == MergeOnto::kOriginal ? std::string("own weights")
                                                    : "weights as the run computed with them, rounded to " +
                                                          config::name_of(config.quantization) + " and dequantised,") +
             " and rounded once to their dtype.";
  }
  return "";
}

/// How the run kept the base's linears.
std::string linears_of(const config::RunConfig& config) {
  if (config.quantization == config::Quantization::kNone) return "as the base has them";
  return "quantised to " + config::name_of(config.quantization);
}

/// Whose data bears on whoever passes the weights on.
std::string origin_of_weights(config::Method method, const std::string& task) {
  if (config::keeps_tasks_apart(method))
    return "Each task has a LoRA of its own: these weights hold what the data of `" + task +
           "` taught them, and of the tasks in its group where it has one. The run's other tasks are listed too.";
  return "These weights hold what the data of *every* task listed here taught them, not that of `" + task +
         "` alone. Their licences all bear on whoever passes it on.";
}

}  // namespace

std::string model_card(const OpenRun& run, const std::string& task, const ExportOptions& exported) {
  const config::RunConfig& config = run.saved.config;
  std::string options, tasks;
  for (const auto& [name, value] : config.chat_template.options) {
    options += (options.empty() ? "" : ", ") + name + ": " + value;
  }
  for (const SavedTask& saved : run.saved.tasks) tasks += (tasks.empty() ? "" : ", ") + saved.name;
  const std::string licence = io::HfModel::open(run.base.dir)->license().value_or("not stated");

  std::string card = front_matter(run, exported.format) + "# " + task + "\n\n" + description(task, config, exported) +
                     "\n\n|  |  |\n|---|---|\n";
  card += row("task", cell(task));
  card += row("metric", cell(metric_of(run, task)));
  card += row("base model", cell(config.model));
  card += row("base licence", cell(licence));
  card += row("base weights (XXH3-128)", code(run.base_hash));
  card += row("base's linears in training", cell(linears_of(config)));
  card += row("tokenizer (XXH3-128)", code(run.saved.tokenizer_hash));
  card += row("chat template (XXH3-128)", code(run.saved.template_hash));
  card += row("template options", cell(options));
  card += row("system message", cell(config.chat_template.system));
  card += row("text before every prompt", cell(settings_of(run, task).prompt.value_or("")));
  card += row("trained on tasks", cell(tasks));
  card += row(config::is_made_of_runs(config.adapter.method) ? "optimizer steps of all tasks' runs" : "optimizer steps",
              std::to_string(run.saved.tasks[run.task_index(task)].step));
  card +=
      "\nPrompts must be written with this template and these options: the adapter was trained on exactly those.\n\n"
      "## Data\n\n" +
      origin_of_weights(config.adapter.method, task) +
      "\n\n"
      "| file | split | rows | licence | XXH3-128 |\n|---|---|---|---|---|\n";
  for (const data::SourceFile& source : run.saved.sources) {
    card += "| " + cell(source.path) + " | " + std::string(data::split_name(source.split)) + " | " +
            std::to_string(source.rows) + " | " + (source.licence.empty() ? "not stated" : cell(source.licence)) +
            " | " + code(source.hash) + " |\n";
  }
  return card;
}

}  // namespace moelora::train
