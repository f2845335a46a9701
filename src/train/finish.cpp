#include "train/finish.h"

#include "config/method.h"
#include "io/hf_model_copy.h"
#include "io/hf_model_writer.h"
#include "train/machine.h"
#include "train/saved_adapter.h"

namespace moelora::train {

std::vector<NamedTensor> trained_parameters(const adapters::Model& model) {
  if (model.adapters) return model.adapters->parameters();
  std::vector<NamedTensor> parameters;
  for (const nn::WeightPtr& weight : model.decoder->weights())
    parameters.emplace_back(weight->name(), weight->stored());
  return parameters;
}

void load_parameters(const adapters::Model& model, std::span<const NamedTensor> values) {
  adapters::copy_by_name(trained_parameters(model), {values.begin(), values.end()}, "tensor");
  if (model.adapters) model.adapters->refresh();
}

std::filesystem::path artefact_dir(const config::RunConfig& config) {
  return std::filesystem::path(config.output) / (config::trains_base(config.adapter.method) ? "model" : "adapter");
}

namespace {

void write_full_model(const RunSetup& setup, int64_t step) {
  io::HfModelContents contents{.config = setup.base.config};
  contents.config["dtype"] = "bfloat16";
  contents.config.erase("torch_dtype");
  contents.config.erase("quantization_config");  // of the base's file, whose form the trained weights don't have
  if (!setup.base.generation_config.empty()) contents.generation_config = setup.base.generation_config;
  for (const auto& [name, master] : trained_parameters(setup.model))
    contents.tensors.emplace_back(name, master.detach().to(at::kBFloat16));
  for (const std::string& name : io::files_beside_weights(setup.base.dir)) {
    if (name != "generation_config.json" && name.find('/') == std::string::npos)
      contents.copied_files.push_back(setup.base.dir / name);
  }
  contents.record = {{"base_hash", setup.identity.base}, {"base_shape_hash", setup.identity.shape}, {"step", step}};
  for (const data::Task& task : setup.dataset.tasks)
    contents.record["tasks"].push_back({{"name", task.name}, {"task_type", task.task_type()}});
  io::write_hf_model(artefact_dir(setup.config), contents);
}

}  // namespace

void write_artefact(const RunSetup& setup, int64_t step, const std::vector<int64_t>& task_steps) {
  if (!setup.model.adapters) return write_full_model(setup, step);
  SavedAdapter saved{.config = setup.config,
                     .tasks = {},
                     .base_hash = setup.identity.base,
                     .shape_hash = setup.identity.shape,
                     .special_tokens_hash = setup.identity.special_tokens,
                     .machine = this_machine(setup.config).to_json(),
                     .tokenizer_hash = setup.identity.tokenizer,
                     .template_hash = setup.identity.chat_template,
                     .sources = setup.dataset.files,
                     .step = step,
                     .tensors = {}};
  for (const data::Task& task : setup.dataset.tasks) saved.tasks.push_back({task.name, task.task_type(), step});
  for (size_t t = 0; t < task_steps.size(); ++t) saved.tasks[t].step = task_steps[t];
  for (const auto& [name, master] : setup.model.adapters->parameters())
    saved.tensors.emplace_back(name, master.detach());
  save_adapter(artefact_dir(setup.config), saved);
}

}  // namespace moelora::train
