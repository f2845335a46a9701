#include "train/open_run.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "config/load.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/suggest.h"
#include "core/threads.h"
#include "data/dataset.h"
#include "io/hf_model.h"
#include "nn/absent_weights.h"

namespace moelora::train {
namespace {

void require_same(const std::string& what, const std::string& found, const std::string& expected,
                  const std::filesystem::path& dir) {
  if (found == expected) return;
  throw Error(ErrorKind::kModel, {.where = dir.string(),
                                  .problem = "the " + what + " is not the one the run was trained with",
                                  .found = found.empty() ? "none" : found,
                                  .expected = expected.empty() ? "none" : expected});
}

/// A run of method `full` has no adapter: its model directory is the base, its tasks are those of its data.
SavedAdapter describe_full_run(const std::filesystem::path& run, const config::RunConfig& config) {
  SavedAdapter saved{.config = config};
  saved.config.model = (run / "model").string();
  saved.config.random_init = false;
  const data::Dataset dataset = data::load_dataset(config.data, config.tasks, {.splits = {data::Split::kTrain}});
  for (const data::Task& task : dataset.tasks) saved.tasks.push_back({task.name, task.task_type()});
  saved.sources = dataset.files;
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

SavedAdapter read_saved(const std::filesystem::path& run) {
  if (std::filesystem::exists(run / "adapter")) return load_adapter(run / "adapter");
  if (std::filesystem::exists(run / "model")) return describe_full_run(run, config::load_config(run / "config.yaml"));
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
  OpenRun open{.dir = run, .saved = read_saved(run)};
  config::RunConfig& config = open.saved.config;
  if (!options.base.empty()) config.model = options.base;
  open.base = read_base_files(config.model);
  open.base.tokenizer_hash = hash_file_hex(open.base.dir / "tokenizer.json");
  open.renderer = make_renderer(open.base, config.chat_template);
  const bool full = config.adapter.method == config::Method::kFull;
  if (!full) {
    require_same("tokenizer", open.base.tokenizer_hash, open.saved.tokenizer_hash, open.base.dir);
    require_same("chat template", open.renderer->template_hash(), open.saved.template_hash, open.base.dir);
  }
  at::set_num_threads(static_cast<int>(config.train.threads > 0 ? config.train.threads : usable_cores()));
  LoadedBase base = options.without_weights ? describe_base(open.base) : load_base(open.base, config);
  open.base_hash = base.hash;
  if (!full && !options.other_base)
    require_same("base model (by the hash of its weights)", base.hash, open.saved.base_hash, open.base.dir);
  open.model.decoder = std::move(base.decoder);
  if (!full && !options.without_adapter) {
    open.model.adapters = std::make_unique<adapters::AdapterSet>(*open.model.decoder, config.adapter,
                                                                 open.saved.task_names(), config.train.seed);
    open.model.adapters->load(open.saved.tensors);
  }
  return open;
}

}  // namespace moelora::train
