#include "train/open_run.h"

#include <algorithm>

#include "config/enum_names.h"
#include "config/load.h"
#include "config/method.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/log.h"
#include "core/suggest.h"
#include "io/hf_model.h"
#include "nn/absent_weights.h"
#include "train/machine.h"
#include "train/plan.h"

namespace moelora::train {
namespace {

void require_same(const std::string& what, const std::string& found, const std::string& expected,
                  const std::filesystem::path& dir, std::string hint = "") {
  if (found == expected) return;
  throw Error(ErrorKind::kModel, {.where = dir.string(),
                                  .problem = "the " + what + " is not the one the run was trained with",
                                  .found = found.empty() ? "none" : found,
                                  .expected = expected.empty() ? "none" : expected,
                                  .hint = std::move(hint)});
}

constexpr const char* kOtherBaseHint = "--other-base accepts another";

/// A run of method `full` has no adapter: its model directory is the base. `alone`: what it was trained from instead.
SavedAdapter describe_full_run(const std::filesystem::path& run, const config::RunConfig& config, bool alone) {
  const Manifest manifest = verify_directory(run / "model");
  SavedAdapter saved{.config = config};
  if (alone && config.random_init) {
    throw Error(ErrorKind::kUsage, {.where = run.string(),
                                    .problem = "the run began with random weights: it has no base to compare with"});
  }
  try {
    const nlohmann::ordered_json& record = manifest.fields;
    saved.step = record.at("step");
    for (const auto& task : record.at("tasks"))
      saved.tasks.push_back({task.at("name"), task.at("task_type"), saved.step});
    if (alone) {
      saved.base_hash = record.at("base_hash");
      saved.shape_hash = record.at("base_shape_hash");
    }
  } catch (const nlohmann::json::exception& problem) {
    throw Error(ErrorKind::kModel, {.where = (run / "model" / kManifestName).string(),
                                    .problem = "not the record of a run's model",
                                    .found = problem.what()});
  }
  if (!alone) saved.config.model = (run / "model").string();
  saved.config.random_init = false;
  return saved;
}

/// The base's shape and identity; its weights are read once, a tensor at a time, for the hash alone.
LoadedBase describe_base(const BaseFiles& base) {
  nn::AbsentWeights weights;
  return {std::make_unique<nn::Decoder>(base.shape, weights, at::kFloat), io::HfModel::open(base.dir)->model_hash()};
}

[[noreturn]] void refuse_run(const std::filesystem::path& run) {
  const bool started = std::filesystem::exists(run / "config.yaml");
  std::string hint;
  if (started) {
    hint = "continue it with `moelora train " + (run / "config.yaml").string() + " --resume`";
  } else if (std::filesystem::exists(run / "moelora_config.json")) {
    hint = "this is a run's adapter: give the directory that holds it";
  }
  throw Error(ErrorKind::kModel, {.where = run.string(),
                                  .problem = started ? "the run has not finished" : "no run stands there",
                                  .expected = "a run directory with adapter/",
                                  .hint = std::move(hint)});
}

SavedAdapter read_saved(const std::filesystem::path& run, const OpenRunOptions& options) {
  if (std::filesystem::exists(run / "adapter")) return load_adapter(run / "adapter");
  if (std::filesystem::exists(run / "model")) {
    if (!options.base.empty() && !options.without_adapter) {
      throw Error(
          ErrorKind::kUsage,
          {.where = "--base", .problem = "a run of method `full` left a whole model: it is used without its base"});
    }
    return describe_full_run(run, config::load_config(run / "config.yaml"), options.without_adapter);
  }
  refuse_run(run);
}

}  // namespace

int64_t OpenRun::task_index(const std::string& task) const {
  const std::vector<std::string> names = saved.task_names();
  const auto found = std::ranges::find(names, task);
  if (found != names.end()) return found - names.begin();
  throw Error(ErrorKind::kUsage, {.where = "--task",
                                  .problem = "the run has no such task",
                                  .found = task,
                                  .expected = "one of " + list_names(names),
                                  .hint = did_you_mean(task, names)});
}

SavedAdapter load_run_adapter(const std::filesystem::path& run) {
  if (std::filesystem::exists(run / "adapter")) return load_adapter(run / "adapter");
  if (std::filesystem::exists(run / "model")) {
    throw Error(ErrorKind::kModel, {.where = run.string(),
                                    .problem = "the run has no adapter: it trained every parameter",
                                    .found = "adapter.method: full"});
  }
  refuse_run(run);
}

OpenRun open_run(const std::filesystem::path& run, const OpenRunOptions& options) {
  OpenRun open{.dir = run, .saved = read_saved(run, options)};
  config::RunConfig& config = open.saved.config;
  if (!options.base.empty()) config.model = options.base;
  if (options.quantization && *options.quantization != config.quantization) {
    log_warn("the base's linears are opened as `quantization: " + config::name_of(*options.quantization) +
             "`, and the run was trained on `" + config::name_of(config.quantization) +
             "`: scores and answers may differ from those of the run");
    config.quantization = *options.quantization;
  }
  open.base = read_base_files(config.model);
  open.renderer = make_renderer(open.base, config.chat_template);
  const bool full = config::trains_base(config.adapter.method);
  if (!open.saved.shape_hash.empty() && !options.other_base) {
    require_same("base model's config.json (what it computes, by hash)", open.base.shape_hash, open.saved.shape_hash,
                 open.base.dir, kOtherBaseHint);
  }
  warn_of_another_machine({{"dtype", open.saved.machine.value("dtype", this_machine(config).dtype)}},
                          this_machine(config), "scores and answers may differ from those of the run");
  if (!full) {
    require_same("tokenizer", tokenizer_hash(open.base), open.saved.tokenizer_hash, open.base.dir);
    require_same("chat template", open.renderer->template_hash(), open.saved.template_hash, open.base.dir);
  }
  // After the template, which decides where answers stop.
  if (!open.saved.special_tokens_hash.empty()) {
    require_same("set of special tokens", open.renderer->special_tokens_hash(), open.saved.special_tokens_hash,
                 open.base.dir);
  }
  use_threads(config.train);
  LoadedBase base = options.without_weights ? describe_base(open.base)
                                            : load_base(open.base, config, reading_form(config, open.base.shape));
  open.base_hash = base.hash;
  if (!open.saved.base_hash.empty() && !options.other_base)
    require_same("base model (by the hash of its weights)", base.hash, open.saved.base_hash, open.base.dir,
                 kOtherBaseHint);
  open.model.decoder = std::move(base.decoder);
  if (!full && !options.without_adapter) open.model.adapters = attach_saved(*open.model.decoder, open.saved);
  return open;
}

}  // namespace moelora::train
