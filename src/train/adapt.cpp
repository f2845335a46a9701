#include "train/adapt.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "config/enum_names.h"
#include "config/load.h"
#include "config/method.h"
#include "config/task_name.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/suggest.h"
#include "eval/metric.h"
#include "train/evolution.h"
#include "train/new_rows.h"
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
    if (!options_.data.empty()) rows_ = read_new_rows(run_, options_.data, options_.task, task_->index());
  }

  AdaptResult adapt() {
    if (!rows_.batches.packs.empty()) measure_known();
    if (options_.weights.empty()) {
      search();
    } else {
      declare();
    }
    result_.weights = task_->weights();
    if (!rows_.batches.packs.empty()) result_.loss = finite_loss();
    save();
    return result_;
  }

 private:
  OpenRun open(const std::filesystem::path& run) const {
    check_command_line();
    // The artefact names the base, and is read from elsewhere.
    const bool is_path = std::filesystem::is_directory(options_.base);
    return open_run(run, {.base = is_path ? std::filesystem::absolute(options_.base).string() : options_.base});
  }

  const config::AdapterConfig& adapter() const { return run_.saved.config.adapter; }

  /// What it alone has wrong comes before the base is read.
  void check_command_line() const {
    check_overrides();
    if (!config::is_task_name(options_.task)) {
      throw Error(ErrorKind::kUsage, {.where = "--task",
                                      .problem = "can't be a task's name",
                                      .found = options_.task,
                                      .expected = config::kTaskNameRule});
    }
    if (options_.data.empty() && (options_.weights.empty() || options_.weights == "nearest")) {
      throw Error(ErrorKind::kUsage, {.where = "--data",
                                      .problem = "the task's labelled rows are missing",
                                      .hint = "or declare its weights: --weights uniform, a known task, or numbers"});
    }
    if (std::filesystem::exists(options_.to)) {
      throw Error(
          ErrorKind::kIo,
          {.where = options_.to.string(), .problem = "exists already", .hint = "give another directory with --to"});
    }
  }

  void check(const std::filesystem::path& run) const {
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
  }

  /// The keys that are the new task's own; the rest is the run's.
  void check_overrides() const {
    static const std::vector<std::string> of_rows = {"prompt",   "metric",         "labels",
                                                     "overflow", "max_new_tokens", "max_rows"};
    std::vector<std::string> keys;
    keys.reserve(of_rows.size());
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

  double loss() const { return loss_or_infinity(run_.model, rows_.batches); }

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
        const NewTask::Slope slope = task_->slope(rows_.batches);
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
    saved.tasks.push_back({options_.task, rows_.task_type, saved.step});
    saved.config.output = options_.to.string();
    saved.sources.insert(saved.sources.end(), rows_.files.begin(), rows_.files.end());
    if (rows_.source) saved.config.data.sources.push_back(*rows_.source);
    if (!saved.config.data.tasks.empty()) saved.config.data.tasks.push_back(options_.task);
    for (auto& [name, value] : saved.tensors) {
      if (name == adapters::kTaskEmbedding) value = task_->embeddings();
    }
    nlohmann::ordered_json record = {{"task", options_.task}, {"start", result_.start}, {"weights", result_.weights}};
    if (options_.weights.empty()) record["search"] = options_.gradient ? "gradient" : "evolution";
    if (result_.loss) record["loss"] = *result_.loss;
    if (!result_.losses.empty()) record["losses"] = result_.losses;
    const RunLock lock(options_.to);
    write_file_atomically(options_.to / "config.yaml", config::to_yaml(saved.config));
    write_file_atomically(options_.to / "adapt.json", record.dump(2) + "\n");
    save_adapter(options_.to / "adapter", saved);  // last: it is what makes a run finished
  }

  const AdaptOptions& options_;
  OpenRun run_;
  std::vector<std::string> known_;
  std::optional<NewTask> task_;
  NewRows rows_;  // none where there is no data
  AdaptResult result_;
};

}  // namespace

AdaptResult adapt(const std::filesystem::path& run, const AdaptOptions& options) {
  return Adaptation(run, options).adapt();
}

}  // namespace moelora::train
