#include "train/adapt.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "config/enum_names.h"
#include "config/load.h"
#include "config/method.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/suggest.h"
#include "data/encode.h"
#include "data/packing.h"
#include "data/sources.h"
#include "eval/metric.h"
#include "train/evolution.h"
#include "train/new_task.h"
#include "train/open_run.h"
#include "train/optimizer.h"
#include "train/snapshots.h"
#include "train/step.h"

namespace moelora::train {
namespace {

/// N positive numbers separated by commas, brought to sum 1; nothing where the text isn't numbers at all.
std::optional<std::vector<double>> read_weights(const std::string& text, size_t experts) {
  std::vector<double> weights;
  double sum = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    double value = 0;
    const auto [next, problem] = std::from_chars(at, end, value);
    if (problem != std::errc() || (next < end && *next != ',')) return std::nullopt;
    weights.push_back(value);
    sum += value;
    at = next < end ? next + 1 : end;
  }
  if (weights.size() != experts ||
      std::ranges::any_of(weights, [](double w) { return !(w > 0) || !std::isfinite(w); })) {
    throw Error(ErrorKind::kUsage, {.where = "--weights",
                                    .problem = "not weights of the run's experts",
                                    .found = text,
                                    .expected = std::to_string(experts) + " positive numbers separated by commas"});
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

class Adaptation {
 public:
  Adaptation(const std::filesystem::path& run, const AdaptOptions& options)
      : options_(options), run_(open(run)), known_(run_.saved.task_names()) {
    check(run);
    take_overrides(run);
    task_.emplace(run_, options.task);
    if (!options_.data.empty()) read_rows();
  }

  AdaptResult adapt() {
    if (!rows_.packs.empty()) measure_known();
    if (options_.weights.empty()) {
      search();
    } else {
      declare();
    }
    result_.weights = task_->weights();
    if (!rows_.packs.empty()) result_.loss = finite_loss();
    save();
    return result_;
  }

 private:
  /// What the command line alone has wrong comes before the base is read.
  OpenRun open(const std::filesystem::path& run) const {
    check_overrides();
    // The artefact names the base, and is read from elsewhere.
    const bool is_path = std::filesystem::is_directory(options_.base);
    return open_run(run, {.base = is_path ? std::filesystem::absolute(options_.base).string() : options_.base});
  }

  const config::AdapterConfig& adapter() const { return run_.saved.config.adapter; }

  void check(const std::filesystem::path& run) const {
    if (std::filesystem::exists(options_.to)) {
      throw Error(
          ErrorKind::kIo,
          {.where = options_.to.string(), .problem = "exists already", .hint = "give another directory with --to"});
    }
    if (!config::has_task_gate(adapter().method)) {
      throw Error(ErrorKind::kModel, {.where = run.string(),
                                      .problem = "only a gate that sees the task has weights to find for another",
                                      .found = "method " + config::name_of(adapter().method),
                                      .expected = "method moelora"});
    }
    if (!run_.saved.task_list().snapshots.empty()) throw_each_at_its_own_step(run.string());
    if (std::ranges::find(known_, options_.task) != known_.end()) {
      throw Error(ErrorKind::kUsage,
                  {.where = "--task", .problem = "the run knows this task already", .found = options_.task});
    }
    for (const auto& [task, settings] : run_.saved.config.tasks) {
      if (settings.group != options_.task) continue;
      throw Error(ErrorKind::kUsage,
                  {.where = "--task", .problem = "the run has a group of tasks of this name", .found = options_.task});
    }
    if (!data::is_task_name(options_.task)) {
      throw Error(ErrorKind::kUsage, {.where = "--task", .problem = "can't be a task's name", .found = options_.task});
    }
    if (options_.data.empty() && (options_.weights.empty() || options_.weights == "nearest")) {
      throw Error(ErrorKind::kUsage, {.where = "--data",
                                      .problem = "the task's labelled rows are missing",
                                      .hint = "or declare its weights: --weights uniform, a known task, or numbers"});
    }
  }

  /// The keys that are the new task's own; the rest is the run's.
  void check_overrides() const {
    static const std::vector<std::string> of_rows = {"prompt",   "metric",         "labels",
                                                     "overflow", "max_new_tokens", "max_rows"};
    std::vector<std::string> keys;
    for (const std::string& name : of_rows) keys.push_back("tasks." + options_.task + "." + name);
    for (const std::string& text : options_.overrides) {
      const std::string key = text.substr(0, text.find('='));
      if (std::ranges::find(keys, key) != keys.end()) continue;
      throw Error(ErrorKind::kUsage, {.where = "--" + key,
                                      .problem = "not a key of the new task's rows: the rest is the run's",
                                      .expected = "one of " + list_names(keys),
                                      .hint = did_you_mean(key, keys)});
    }
  }

  void take_overrides(const std::filesystem::path& run) {
    config::RunConfig& config = run_.saved.config;
    config = config::parse_config(config::to_yaml(config), run / "config.yaml", options_.overrides);
    const auto own = config.tasks.find(options_.task);
    if (own == config.tasks.end()) return;
    own->second.group.reset();  // a task that the run left out is new to it, and by itself
    if (own->second.metric) eval::parse_metric_specs(*own->second.metric, "tasks." + options_.task + ".metric");
  }

  void read_rows() {
    config::DataConfig data = run_.saved.config.data;
    data.sources = {source()};
    data.tasks.clear();
    std::map<std::string, config::TaskConfig> settings = run_.saved.config.tasks;
    std::erase_if(settings, [this](const auto& entry) { return entry.first != options_.task; });
    const data::Dataset dataset =
        data::load_dataset(data, settings, {.splits = {data::Split::kTrain}, .unnamed_files_are = data::Split::kTrain});
    files_ = dataset.files;
    has_own_source_ = !is_in_run_data();
    task_type_ = dataset.tasks.front().task_type();
    const data::EncodedRows encoded = data::encode_rows(dataset, data::Split::kTrain, *run_.renderer, {});
    data::EncodedRows rows(task_->index() + 1);
    for (int64_t i = 0; i < encoded.size(); ++i)
      rows.append(task_->index(), encoded.row(i), encoded.prompt(i), encoded.answer(i));
    if (rows.size() == 0) {
      throw Error(ErrorKind::kData, {.where = options_.data.string(),
                                     .problem = "no row of the task is left: all are longer than data.max_length",
                                     .expected = "rows of at most " + std::to_string(data.max_length) + " tokens"});
    }
    rows_ = data::pack_range(rows, 0, rows.size(), {.tokens_per_batch = run_.saved.config.train.tokens_per_batch});
  }

  config::DataSource source() const {
    config::DataSource source{.path = std::filesystem::absolute(options_.data).string(), .task = options_.task};
    if (!std::filesystem::is_directory(options_.data)) source.split = "train";
    return source;
  }

  /// Whether the run's own sources give the task's files, which `data.tasks` left out. Throws where they give them to
  /// another task: the files would be read twice.
  bool is_in_run_data() const {
    const config::DataConfig& data = run_.saved.config.data;
    const auto canonical = [](const std::filesystem::path& path) {
      std::error_code ignored;
      return std::filesystem::weakly_canonical(path, ignored);
    };
    std::set<std::filesystem::path> own;
    for (const data::SourceFile& file : files_) own.insert(canonical(file.path));
    bool is_there = false;
    for (const data::SourceEntry& entry : data::list_sources(data, {}).files) {
      if (!own.contains(canonical(entry.path))) continue;
      const std::string task = entry.task.value_or(entry.fallback_task.value_or(""));
      const bool left_out = !data.tasks.empty() && std::ranges::find(data.tasks, task) == data.tasks.end();
      is_there |= task == options_.task;
      if (task == options_.task || left_out) continue;
      throw Error(ErrorKind::kUsage, {.where = "--data",
                                      .problem = "the run has this file already",
                                      .found = entry.path.string() + (task.empty() ? "" : " of task " + task),
                                      .expected = "rows of the new task alone"});
    }
    return is_there;
  }

  double loss() const { return loss_or_infinity(run_.model, rows_); }

  double finite_loss() const {
    const double value = loss();
    if (std::isfinite(value)) return value;
    throw Error(ErrorKind::kNumeric,
                {.where = options_.data.string(),
                 .problem = "the loss on the rows is not finite with the weights of `" + result_.start + "`"});
  }

  /// Losses on the rows with uniform weights and with each known task's.
  void measure_known() {
    result_.losses["uniform"] = loss();
    for (size_t t = 0; t < known_.size(); ++t) {
      task_->set_as(static_cast<int64_t>(t));
      result_.losses[known_[t]] = loss();
    }
    task_->set_uniform();
  }

  /// The known task of the lowest loss.
  std::string nearest() const {
    return *std::ranges::min_element(known_, {}, [this](const std::string& task) { return result_.losses.at(task); });
  }

  void take_task(const std::string& task) {
    task_->set_as(std::ranges::find(known_, task) - known_.begin());
    result_.start = task;
  }

  void require_shared(const std::string& what) const {
    if (task_->has_one_gate()) return;
    throw Error(ErrorKind::kModel, {.where = "gate.scope: per_layer",
                                    .problem = what + " needs one gate for all layers: here each has its own weights",
                                    .hint = "use --weights uniform, nearest or a known task's name"});
  }

  void declare() {
    result_.start = options_.weights;
    if (options_.weights == "uniform") return;
    if (options_.weights == "nearest") return take_task(nearest());
    if (std::ranges::find(known_, options_.weights) != known_.end()) return take_task(options_.weights);
    const std::optional<std::vector<double>> given =
        read_weights(options_.weights, static_cast<size_t>(adapter().experts));
    if (!given) {
      throw Error(ErrorKind::kUsage, {.where = "--weights",
                                      .problem = "neither a known task nor numbers",
                                      .found = options_.weights,
                                      .expected = "uniform, nearest, numbers, or one of " + list_names(known_),
                                      .hint = did_you_mean(options_.weights, known_)});
    }
    require_shared("a row of given weights");
    std::vector<double> logits;
    for (const double weight : *given) logits.push_back(std::log(weight));
    task_->set_logits(logits);
    const std::vector<double> found = task_->weights();
    for (size_t n = 0; n < found.size(); ++n) {
      if (std::abs(found[n] - (*given)[n]) < 1e-4) continue;
      throw Error(ErrorKind::kModel, {.where = "--weights",
                                      .problem = "the gate can't give these weights to any task",
                                      .found = "embedding of size " + std::to_string(adapter().gate.embedding_size),
                                      .expected = "at least experts - 1"});
    }
  }

  /// By gradient from uniform weights and from the nearest task's, for a descent ends in the valley where it begins: a
  /// sum of two tasks isn't found from one of them. By evolution from the better of the two.
  void search() {
    require_shared("a search");
    const std::string near = nearest();
    if (!options_.gradient) {
      task_->set_logits(
          by_evolution(logits_of(result_.losses.at("uniform") <= result_.losses.at(near) ? "uniform" : near)));
      return;
    }
    Found best = by_gradient(logits_of("uniform"));
    Found from_task = by_gradient(logits_of(near));
    if (from_task.loss < best.loss) {
      best = std::move(from_task);
    } else {
      result_.start = "uniform";
    }
    task_->set_logits(best.logits);
  }

  /// Of a known task or `uniform`, from where the result starts.
  std::vector<double> logits_of(const std::string& start) {
    result_.start = start;
    if (start == "uniform") return std::vector<double>(static_cast<size_t>(adapter().experts), 0.0);
    take_task(start);
    return task_->logits();
  }

  struct Found {
    std::vector<double> logits;
    double loss;
  };

  /// Adam over the logits; the best step's.
  Found by_gradient(const std::vector<double>& start) {
    const auto experts = static_cast<int64_t>(start.size());
    at::Tensor z = at::empty({experts}, at::kFloat);
    std::ranges::copy(start, z.mutable_data_ptr<float>());
    z.requires_grad_(true);
    z.mutable_grad() = at::zeros({experts}, at::kFloat);
    AdamW adam({{"logits", z}}, {});
    Found best{.logits = start, .loss = INFINITY};
    for (int64_t step = 0; step <= options_.steps; ++step) {
      throw_if_interrupted();
      const std::vector<double> logits(z.const_data_ptr<float>(), z.const_data_ptr<float>() + experts);
      task_->set_logits(logits);
      try {
        const NewTask::Slope slope = task_->slope(rows_);
        if (slope.loss < best.loss) best = {logits, slope.loss};
        std::ranges::copy(slope.gradient, z.grad().mutable_data_ptr<float>());
      } catch (const NonFiniteLoss&) {
        break;  // nothing leads on from there
      }
      adam.step(options_.learning_rate);
    }
    return best;
  }

  std::vector<double> by_evolution(const std::vector<double>& start) {
    const auto objective = [this](const std::vector<double>& logits) {
      task_->set_logits(logits);
      return loss();
    };
    return minimise_by_evolution(objective, start,
                                 {.step = 0.5, .evaluations = options_.steps, .seed = run_.saved.config.train.seed})
        .x;
  }

  void save() {
    SavedAdapter& saved = run_.saved;
    saved.tasks.push_back({options_.task, task_type_, saved.step});
    saved.config.output = options_.to.string();
    saved.sources.insert(saved.sources.end(), files_.begin(), files_.end());
    if (has_own_source_) saved.config.data.sources.push_back(source());
    if (!saved.config.data.tasks.empty()) saved.config.data.tasks.push_back(options_.task);
    for (auto& [name, value] : saved.tensors) {
      if (name == "task_embedding") value = task_->embeddings();
    }
    save_adapter(options_.to / "adapter", saved);
    write_file_atomically(options_.to / "config.yaml", config::to_yaml(saved.config));
    nlohmann::ordered_json record = {{"task", options_.task}, {"start", result_.start}, {"weights", result_.weights}};
    if (options_.weights.empty()) record["search"] = options_.gradient ? "gradient" : "evolution";
    if (result_.loss) record["loss"] = *result_.loss;
    if (!result_.losses.empty()) record["losses"] = result_.losses;
    write_file_atomically(options_.to / "adapt.json", record.dump(2) + "\n");
  }

  const AdaptOptions& options_;
  OpenRun run_;
  std::vector<std::string> known_;
  std::optional<NewTask> task_;
  data::StepBatches rows_;
  std::vector<data::SourceFile> files_;
  bool has_own_source_ = false;  // beside the run's
  std::string task_type_;
  AdaptResult result_;
};

}  // namespace

AdaptResult adapt(const std::filesystem::path& run, const AdaptOptions& options) {
  return Adaptation(run, options).adapt();
}

}  // namespace moelora::train
