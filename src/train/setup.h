// From a configuration to everything a run needs, opened and checked in the order that fails early: text and data
// before weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "adapters/model.h"
#include "config/run_config.h"
#include "config/task_groups.h"
#include "data/dataset.h"
#include "data/encode.h"
#include "data/prompt.h"
#include "nn/linear_form.h"
#include "nn/model_config.h"
#include "train/identity.h"

namespace moelora::train {

/// A model directory's text side and shape, without its weights.
struct BaseFiles {
  std::filesystem::path dir;
  nlohmann::json config;             // config.json
  nlohmann::json generation_config;  // generation_config.json, or an empty object
  nn::ModelConfig shape;
  std::string shape_hash;  // nn::shape_hash
};

/// Resolves and reads them. Throws Error (kModel).
BaseFiles read_base_files(const std::string& model);

/// XXH3-128 of tokenizer.json, or of tokenizer.model where there is none.
std::string tokenizer_hash(const BaseFiles& base);

/// The renderer of prompts for a base: its tokenizer, template and stop tokens.
std::shared_ptr<data::PromptRenderer> make_renderer(const BaseFiles& base, const config::TemplateConfig& config);

/// float32 or bfloat16; auto is bfloat16 where the CPU has its instructions.
at::ScalarType compute_dtype(config::DType dtype);

/// The form that linears of a base are kept in where nothing is trained.
nn::LinearForm linear_form(config::Quantization quantization);

/// And in a training run, whose train.weight_layout is resolved (`auto` is plain).
nn::LinearForm training_form(const config::RunConfig& config);

/// The identity of a base's weights: XXH3-128 of them, all of which are read, or with `random_init` "random:<seed>".
std::string base_hash(const BaseFiles& base, const config::RunConfig& config);

/// The base's weights from its files or, with `random_init`, from the seed; and the identity of what was loaded.
struct LoadedBase {
  std::unique_ptr<nn::Decoder> decoder;
  std::string hash;  // base_hash
};
LoadedBase load_base(const BaseFiles& base, const config::RunConfig& config, nn::LinearForm form);

struct RunSetup {
  config::RunConfig config;
  BaseFiles base;
  data::Dataset dataset;
  std::shared_ptr<data::PromptRenderer> renderer;
  std::shared_ptr<const data::EncodedRows> train_rows;
  std::shared_ptr<const data::EncodedRows> dev_rows;  // of at most eval.rows rows a task; may be empty
  adapters::Model model;
  Identity identity;

  /// Throws Error (kConfig) where a group's name is another task's.
  config::TaskGroups groups() const { return config::task_groups(dataset.task_names(), config.tasks); }
};

/// The line that tells a plain LoRA the task, where the configuration gives none and the method has it: written into
/// the configuration too, so that evaluation and generation read it there.
void bring_task_prompts(config::RunConfig& config, data::Dataset& dataset);

/// Everything but the weights: what `validate` checks. Warnings stand in dataset.warnings.
RunSetup prepare_data(config::RunConfig config);

/// Loads the base and attaches what is trained. Sets the number of threads.
void load_model(RunSetup& setup);

/// Attaches what is trained to a base that is loaded already; setup.model.take_base() gives it back for another run.
/// Not for several runs of method `full`, which changes the base.
void attach(RunSetup& setup, LoadedBase base);

}  // namespace moelora::train
