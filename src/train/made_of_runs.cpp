#include "train/made_of_runs.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "adapters/compose.h"
#include "config/load.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/log.h"
#include "data/packing.h"
#include "data/sources.h"
#include "data/training_stream.h"
#include "io/json_file.h"
#include "train/dev_evaluation.h"
#include "train/evolution.h"
#include "train/finish.h"
#include "train/identity.h"
#include "train/machine.h"
#include "train/saved_adapter.h"

namespace moelora::train {
namespace {

using adapters::LoraTensors;

constexpr double kHubPenalty = 0.05;  // of mean |w|, as published
constexpr double kHubBound = 1.5;     // of each |w|, as published
constexpr int kLambdas = 10;          // 0.1, 0.2 … 1
constexpr const char* kFound = "weights.json";

/// The dev rows of a group of tasks; it has some (train/check_setup.h).
data::StepBatches dev_batches(const RunSetup& setup, const config::TaskGroups& groups, int64_t group) {
  data::EncodedRows rows(setup.dev_rows->task_count());
  for (int64_t i = 0; i < setup.dev_rows->size(); ++i) {
    if (groups.of_task[setup.dev_rows->task(i)] != group) continue;
    rows.append(setup.dev_rows->task(i), setup.dev_rows->row(i), setup.dev_rows->prompt(i), setup.dev_rows->answer(i));
  }
  return data::pack_range(rows, 0, rows.size(), {.tokens_per_batch = setup.config.train.tokens_per_batch});
}

class RunsOfTasks {
 public:
  RunsOfTasks(RunSetup& setup, const TrainOptions& options)
      : setup_(setup), options_(options), groups_(setup.groups()), dir_(setup.config.output), lock_(dir_) {}

  TrainResult train() {
    start();
    TrainResult result{.artefact = artefact_dir(setup_.config)};
    LoadedBase base{setup_.model.take_base(), setup_.identity.base};
    const std::vector<LoraTensors> adapters = train_tasks(base, result);
    const bool finished = std::filesystem::exists(result.artefact);
    nlohmann::ordered_json found;
    const std::vector<LoraTensors> experts =
        !finished && config().adapter.method == config::Method::kLoraHub ? search_hub(base, adapters, found) : adapters;
    attach(setup_, std::move(base));
    if (finished) {
      load_parameters(setup_.model, load_adapter(result.artefact).tensors);
    } else {
      fill(experts, result.steps, found);
      if (!found.is_null()) write_file_atomically(dir_ / kFound, found.dump(2) + "\n");
      write_artefact(setup_, result.steps);
    }
    result.best_step = result.steps;
    if (setup_.dev_rows->size() > 0)
      result.best_value = evaluate_on_dev(setup_, options_.dev_scores, result.steps).value;
    return result;
  }

 private:
  const config::RunConfig& config() const { return setup_.config; }

  void start() {
    const bool started = std::filesystem::exists(dir_ / "config.yaml");
    if (started && !options_.resume) {
      throw Error(ErrorKind::kIo, {.where = dir_.string(),
                                   .problem = "a run stands there already",
                                   .hint = "continue it with --resume, or give another `output`"});
    }
    if (!started && options_.resume) {
      throw Error(ErrorKind::kUsage, {.where = dir_.string(), .problem = "no run to resume stands there"});
    }
    const std::filesystem::path record = dir_ / kRecordOfRuns;
    if (started) {
      if (!std::filesystem::exists(record)) {
        throw Error(ErrorKind::kModel, {.where = dir_.string(),
                                        .problem = "a run of another method stands there",
                                        .found = std::string("no ") + kRecordOfRuns,
                                        .expected = "a run made of several",
                                        .hint = "give another `output`"});
      }
      setup_.identity.require_same(io::read_json_object(record), record.string());
    }
    remove_partial_directories(dir_);
    write_file_atomically(record, setup_.identity.to_json().dump(2) + "\n");
    write_file_atomically(dir_ / "config.yaml", config::to_yaml(resolved(config())));
  }

  /// One LoRA a task or group, those that are done already included; the best step's weights of each.
  std::vector<LoraTensors> train_tasks(LoadedBase& base, TrainResult& result) {
    const data::Sampler sampler(*setup_.train_rows, {.batch_size = config().train.batch_size});
    const int64_t all_steps = total_steps(config().train, sampler.steps_per_epoch());
    const std::vector<int64_t> steps = steps_by_task(setup_, all_steps);
    std::vector<LoraTensors> adapters;
    for (int64_t g = 0; g < groups_.count(); ++g) {
      const std::string& task = groups_.names[g];
      if (!options_.quiet) log_info("task " + task);
      RunSetup run = prepare_data(task_run_config(config(), task, steps[g], all_steps));
      setup_.identity.require_unchanged(run.identity, config().output);
      attach(run, std::move(base));
      TrainOptions options = options_;
      options.resume = std::filesystem::exists(std::filesystem::path(run.config.output) / "config.yaml");
      const TrainResult one = moelora::train::train(run, options);
      result.steps += one.steps;
      result.tokens += one.tokens;
      result.seconds += one.seconds;
      result.run_seconds += one.run_seconds;
      result.stopped_early |= one.stopped_early;
      LoraTensors& tensors = adapters.emplace_back();
      for (const auto& [name, master] : run.model.adapters->parameters())
        tensors.emplace_back(name, master.detach().clone());
      base = {run.model.take_base(), run.identity.base};
    }
    return adapters;
  }

  /// LoRAHub's sums, one for each task or group.
  std::vector<LoraTensors> search_hub(LoadedBase& base, const std::vector<LoraTensors>& adapters,
                                      nlohmann::ordered_json& found) {
    RunSetup hub{.config = config(), .dataset = setup_.dataset};
    hub.config.adapter.method = config::Method::kLora;
    attach(hub, std::move(base));
    std::vector<LoraTensors> sums;
    const nlohmann::json before =
        std::filesystem::exists(dir_ / kFound) ? io::read_json_object(dir_ / kFound) : nlohmann::json::object();
    for (size_t t = 0; t < adapters.size(); ++t) {
      const std::string& task = groups_.names[t];
      if (before.contains("weights") && before["weights"].contains(task)) {
        const std::vector<double> weights = known_weights(before, task, adapters.size());
        found["weights"][task] = weights;
        found["objective"][task] = before["objective"][task];
        sums.push_back(adapters::sum_state_dicts(adapters, weights));
        continue;
      }
      if (!options_.quiet) log_info("weights of task " + task);
      const data::StepBatches batches = dev_batches(setup_, groups_, static_cast<int64_t>(t));
      const auto objective = [&](const std::vector<double>& weights) {
        hub.model.adapters->load(adapters::sum_state_dicts(adapters, weights));
        double size = 0;
        for (const double weight : weights) size += std::abs(weight) / static_cast<double>(weights.size());
        return loss_or_infinity(hub.model, batches) + kHubPenalty * size;
      };
      const Minimum minimum = minimise_by_evolution(
          objective, std::vector<double>(adapters.size(), 0.0),
          {.bound = kHubBound, .evaluations = config().adapter.search_steps, .seed = config().train.seed + t});
      sums.push_back(adapters::sum_state_dicts(adapters, minimum.x));
      found["weights"][task] = minimum.x;
      found["objective"][task] = minimum.value;
      write_file_atomically(dir_ / kFound, found.dump(2) + "\n");
    }
    base = {hub.model.take_base(), hub.identity.base};
    return sums;
  }

  /// Of a task that was searched for before the run was cut.
  std::vector<double> known_weights(const nlohmann::json& before, const std::string& task, size_t count) const {
    try {
      const auto weights = before.at("weights").at(task).get<std::vector<double>>();
      before.at("objective").at(task).get<double>();
      if (weights.size() == count) return weights;
    } catch (const nlohmann::json::exception&) {
    }
    throw Error(ErrorKind::kModel, {.where = (dir_ / kFound).string() + ": task " + task,
                                    .problem = "not what a search found for it",
                                    .expected = std::to_string(count) + " weights and their objective",
                                    .hint = "remove the file, and all are searched again"});
  }

  /// The result's tensors: the experts side by side and their table.
  void fill(const std::vector<LoraTensors>& experts, int64_t step, nlohmann::ordered_json& found) {
    std::vector<NamedTensor> tensors = adapters::stack(experts, config().adapter.rank);
    at::Tensor table;
    for (const auto& [name, master] : setup_.model.adapters->parameters()) {
      if (name == adapters::kExpertWeights) table = master;
    }
    const at::NoGradGuard no_grad;
    at::Tensor own = table.detach().clone().fill_(0);
    for (size_t t = 0; t < groups_.of_task.size(); ++t) own[static_cast<int64_t>(t)][groups_.of_task[t]].fill_(1);
    tensors.emplace_back(adapters::kExpertWeights, own);
    setup_.model.adapters->load(tensors);
    if (config().adapter.method != config::Method::kTaskArithmetic) return;
    double best = 0;
    for (int i = 1; i <= kLambdas; ++i) {
      const double lambda = static_cast<double>(i) / kLambdas;
      table.fill_(lambda);
      const double loss = evaluate_on_dev(setup_, {}, step).tasks["mean"]["loss"];
      found["mean_dev_loss"].push_back({lambda, loss});
      if (i > 1 && loss >= best) continue;
      best = loss;
      found["lambda"] = lambda;
    }
    table.fill_(found["lambda"].get<double>());
  }

  RunSetup& setup_;
  const TrainOptions& options_;
  config::TaskGroups groups_;
  std::filesystem::path dir_;
  RunLock lock_;
};

}  // namespace

config::RunConfig task_run_config(const config::RunConfig& config, const std::string& task, int64_t steps,
                                  int64_t all_steps) {
  config::RunConfig run = config;
  run.adapter.method = config::Method::kLora;
  run.adapter.search_steps = config::AdapterConfig{}.search_steps;  // the run is the same, whatever is made of it
  std::erase_if(run.tasks, [&](const auto& entry) {
    return entry.second.group.value_or(entry.first) != task || data::is_left_out(config.data, entry.first);
  });
  run.data.tasks.clear();
  for (const auto& [member, settings] : run.tasks) run.data.tasks.push_back(member);
  if (run.data.tasks.empty()) run.data.tasks = {task};
  run.output = (std::filesystem::path(config.output) / "tasks" / task).string();
  run.train.max_steps = steps;
  run.eval.best = config::kBestOfMean;
  const auto share = [&](int64_t every) {
    return every > 0 ? std::max<int64_t>(1, (every * steps + all_steps - 1) / all_steps) : 0;
  };
  run.eval.every_steps = share(config.eval.every_steps);
  run.checkpoint.every_steps = share(config.checkpoint.every_steps);
  return run;
}

std::vector<int64_t> steps_by_task(const RunSetup& setup, int64_t steps) {
  const data::Sampler sampler(*setup.train_rows, data::sampler_options(setup.config.train, setup.dataset));
  const config::TaskGroups groups = setup.groups();
  const std::vector<double> draws = sampler.expected_draws();
  std::vector<int64_t> by_task;
  for (int64_t g = 0; g < groups.count(); ++g) {
    double drawn = 0;
    for (const size_t t : groups.members(g)) drawn += draws[t];
    const double share = drawn / static_cast<double>(sampler.samples());
    by_task.push_back(std::max<int64_t>(1, std::llround(share * static_cast<double>(steps))));
  }
  return by_task;
}

std::string task_runs_identity(const config::RunConfig& config) {
  config::RunConfig same = config;
  same.adapter.method = config::Method::kLoraPerTask;
  same.adapter.search_steps = config::AdapterConfig{}.search_steps;
  return config_identity(same);
}

TrainResult train_runs(RunSetup& setup, const TrainOptions& options) {
  return RunsOfTasks(setup, options).train();
}

}  // namespace moelora::train
