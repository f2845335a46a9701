#include "train/setup.h"

#include "config/method.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/threads.h"
#include "data/overlap.h"
#include "data/template_check.h"
#include "io/hf_model.h"
#include "io/json_file.h"
#include "nn/fingerprint.h"
#include "nn/random_weights.h"
#include "text/assets.h"
#include "train/check_setup.h"
#include "train/machine.h"
#include "train/plan.h"
#include "train/snapshots.h"
#include "train/start_from.h"

namespace moelora::train {
namespace {

/// eos ids of generation_config.json: one, several, or none.
std::vector<int64_t> generation_eos(const BaseFiles& base) {
  if (!base.generation_config.contains("eos_token_id")) return {};
  const nlohmann::json& value = base.generation_config["eos_token_id"];
  if (value.is_null()) return {};
  std::vector<int64_t> ids;
  for (const nlohmann::json& id : value.is_array() ? value : nlohmann::json::array({value})) {
    if (!id.is_number_integer() || id < 0 || id >= base.shape.vocab_size) {
      throw Error(ErrorKind::kModel,
                  {.where = (base.dir / "generation_config.json").string() + ": `eos_token_id`",
                   .problem = "invalid value",
                   .found = id.dump().substr(0, 60),
                   .expected = "a token id below " + std::to_string(base.shape.vocab_size) + ", or a list of them"});
    }
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

/// Without the chat template that the configuration asks for, a model would be trained on prompts that no server makes.
/// Throws Error (kConfig).
void check_template(const RunSetup& setup) {
  if (!data::lacks_chat_template(setup.dataset, *setup.renderer)) return;
  throw Error(ErrorKind::kConfig,
              {.where = "template.chat",
               .problem = "the model has no chat template",
               .found = "neither chat_template.jinja nor a chat_template in " +
                        (setup.base.dir / "tokenizer_config.json").string(),
               .expected = "a model with one, or `template.chat: false`",
               .hint = "for a base model write `template: {chat: false}`: prompts are then the rows' plain text"});
}

void check_method(const RunSetup& setup) {
  if (!config::trains_base(setup.config.adapter.method) || !setup.base.shape.nested) return;
  throw Error(ErrorKind::kModel, {.where = (setup.base.dir / "config.json").string() + ": `model_type`",
                                  .problem = "method `full` would leave a model without the parts that aren't text",
                                  .found = setup.base.shape.model_type,
                                  .expected = "a base of text alone, or a method with adapters"});
}

}  // namespace

void bring_task_prompts(config::RunConfig& config, data::Dataset& dataset) {
  if (!config::traits(config.adapter.method).task_prompt) return;
  for (data::Task& task : dataset.tasks) {
    if (!task.settings.prompt) task.settings.prompt = "Task: " + task.name;
    config.tasks[task.name].prompt = task.settings.prompt;
  }
}

BaseFiles read_base_files(const std::string& model) {
  BaseFiles base;
  base.dir = io::resolve_model(model);
  base.config = io::HfModel::read_config(base.dir);
  base.shape = nn::parse_model_config(base.config, (base.dir / "config.json").string());
  base.shape_hash = nn::shape_hash(base.shape);
  const std::filesystem::path generation = base.dir / "generation_config.json";
  base.generation_config =
      std::filesystem::exists(generation) ? io::read_json_object(generation) : nlohmann::json::object();
  return base;
}

std::string tokenizer_hash(const BaseFiles& base) {
  return hash_file_hex(text::tokenizer_file(base.dir));
}

std::shared_ptr<data::PromptRenderer> make_renderer(const BaseFiles& base, const config::TemplateConfig& config) {
  return std::make_shared<data::PromptRenderer>(text::load_text_assets(base.dir), config, generation_eos(base));
}

at::ScalarType compute_dtype(config::DType dtype) {
  switch (dtype) {
    case config::DType::kFloat32:
      return at::kFloat;
    case config::DType::kBFloat16:
      return at::kBFloat16;
    case config::DType::kAuto:
      break;
  }
  return cpu_features().has_bf16() ? at::kBFloat16 : at::kFloat;
}

nn::LinearForm linear_form(config::Quantization quantization) {
  switch (quantization) {
    case config::Quantization::kNone:
      break;
    case config::Quantization::kInt8:
      return nn::LinearForm::kInt8;
    case config::Quantization::kNf4:
      return nn::LinearForm::kNf4;
  }
  return nn::LinearForm::kPlain;
}

nn::LinearForm training_form(const config::RunConfig& config) {
  const nn::LinearForm form = linear_form(config.quantization);
  const bool packed = form == nn::LinearForm::kPlain && !config::trains_base(config.adapter.method) &&
                      config.train.weight_layout == config::WeightLayout::kPacked;
  return packed ? nn::LinearForm::kPacked : form;
}

std::string base_hash(const BaseFiles& base, const config::RunConfig& config) {
  if (config.random_init) return "random:" + std::to_string(config.train.seed);
  return io::HfModel::open(base.dir)->model_hash();
}

LoadedBase load_base(const BaseFiles& base, const config::RunConfig& config, nn::LinearForm form) {
  const at::ScalarType dtype = compute_dtype(config.train.dtype);
  if (config.random_init) {
    nn::RandomWeights weights(config.train.seed, base.shape.initializer_range, base.shape.unit_offset_norms ? 0 : 1);
    return {std::make_unique<nn::Decoder>(base.shape, weights, dtype), base_hash(base, config)};
  }
  const auto files = io::HfModel::open(base.dir);
  return {std::make_unique<nn::Decoder>(base.shape, *files, dtype, form), files->model_hash()};
}

RunSetup prepare_data(config::RunConfig config) {
  RunSetup setup;
  setup.config = std::move(config);
  setup.base = read_base_files(setup.config.model);
  check_method(setup);
  setup.renderer = make_renderer(setup.base, setup.config.chat_template);
  setup.dataset = data::load_dataset(setup.config.data, setup.config.tasks);
  check_template(setup);
  for (std::string& warning : data::check_overlap(setup.dataset)) setup.dataset.warnings.push_back(std::move(warning));
  bring_task_prompts(setup.config, setup.dataset);
  const int64_t threads = setup.config.train.threads;
  setup.train_rows = std::make_shared<data::EncodedRows>(
      data::encode_rows(setup.dataset, data::Split::kTrain, *setup.renderer, {.threads = threads}));
  setup.dev_rows = std::make_shared<data::EncodedRows>(
      data::encode_rows(setup.dataset, data::Split::kDev, *setup.renderer,
                        {.threads = threads, .max_rows_per_task = setup.config.eval.rows}));
  check_setup(setup);
  const int64_t tasks = setup.groups().count();
  setup.config.train.recompute = choose_recompute(setup.config, setup.base.shape, tasks);
  setup.config.train.weight_layout = choose_weight_layout(setup.config, setup.base.shape, tasks);

  setup.identity = {.base = "",
                    .shape = setup.base.shape_hash,
                    .tokenizer = tokenizer_hash(setup.base),
                    .special_tokens = setup.renderer->special_tokens_hash(),
                    .chat_template = setup.renderer->template_hash(),
                    .data = setup.dataset.hash,
                    .config = config_identity(setup.config)};
  return setup;
}

void load_model(RunSetup& setup) {
  use_threads(setup.config.train);
  attach(setup, load_base(setup.base, setup.config, training_form(setup.config)));
}

void attach(RunSetup& setup, LoadedBase base) {
  const config::RunConfig& config = setup.config;
  setup.model.decoder = std::move(base.decoder);
  setup.identity.base = std::move(base.hash);
  if (config::trains_base(config.adapter.method)) {
    setup.model.decoder->make_trainable();
  } else {
    setup.model.adapters = std::make_unique<adapters::AdapterSet>(
        *setup.model.decoder, config.adapter, task_list(setup.dataset.task_names(), config), config.train.seed);
    if (!config.adapter.start.empty()) start_from(setup, config.adapter.start);
  }
}

}  // namespace moelora::train
