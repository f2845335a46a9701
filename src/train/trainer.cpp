#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>

#include "config/load.h"
#include "config/method.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "data/training_stream.h"
#include "eval/task_metrics.h"
#include "io/checkpoint.h"
#include "train/conflict.h"
#include "train/dev_evaluation.h"
#include "train/finish.h"
#include "train/machine.h"
#include "train/made_of_runs.h"
#include "train/metrics_log.h"
#include "train/non_finite.h"
#include "train/optimizer.h"
#include "train/plan.h"
#include "train/progress.h"
#include "train/schedule.h"

namespace moelora::train {
namespace {

using nlohmann::ordered_json;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Of the experts' weights as shares, in nats; the mean over the tasks.
double mean_entropy(const adapters::GateTable& gate) {
  double total = 0;
  for (const std::vector<float>& weights : gate.weights) {
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (const float weight : weights) {
      if (weight > 0) total -= weight / sum * std::log(weight / sum);
    }
  }
  return total / static_cast<double>(gate.weights.size());
}

class Run {
 public:
  Run(RunSetup& setup, const TrainOptions& options)
      : setup_(setup),
        options_(options),
        dir_(setup.config.output),
        lock_(dir_),
        parameters_(trained_parameters(setup.model)),
        optimizer_(parameters_, {.beta1 = config().train.beta1,
                                 .beta2 = config().train.beta2,
                                 .epsilon = config().train.epsilon,
                                 .weight_decay = config().train.weight_decay}) {}

  TrainResult train() {
    start();
    if (state_.evaluation_due) {
      evaluate_or_stop();
      write_trainer_state();
    }
    Progress progress("training", total_, state_.step, options_.quiet);
    while (state_.step < total_ && !stopped_early_) {
      take_step();
      progress.update(state_.step, rate_and_loss());
      if (!conflict_.empty()) log_conflict();
      if (state_.step % config().train.log_every == 0) log_losses();
      const bool evaluated = state_.step % evaluate_every_ == 0 || state_.step == total_;
      if (evaluated) {
        progress.clear();
        evaluate_or_stop();
      }
      const bool interrupted = interrupt_requested();
      if (evaluated || interrupted || state_.step % save_every_ == 0) save();
      if (interrupted) {
        progress.clear();
        stop_for_interrupt("");
      }
    }
    progress.clear();
    return finish();
  }

 private:
  const config::RunConfig& config() const { return setup_.config; }

  /// A fresh directory, or the newest valid checkpoint of an old one.
  void start() {
    remove_partial_directories(dir_);
    io::NewestCheckpoint newest = io::newest_valid_checkpoint(dir_);
    for (const io::BadCheckpoint& bad : newest.bad) {
      log_warn("checkpoint " + bad.dir.string() + " can't be used and is passed over: " + bad.reason);
    }
    if (!options_.resume && (newest.checkpoint || std::filesystem::exists(dir_ / "config.yaml"))) {
      throw Error(ErrorKind::kIo, {.where = dir_.string(),
                                   .problem = "a run stands there already",
                                   .hint = "continue it with --resume, or give another `output`"});
    }
    if (options_.resume && !newest.checkpoint && !std::filesystem::exists(dir_ / "config.yaml")) {
      throw Error(ErrorKind::kUsage, {.where = dir_.string(), .problem = "no run to resume stands there"});
    }
    if (!newest.checkpoint && !newest.bad.empty()) {
      throw Error(ErrorKind::kModel, {.where = dir_.string(),
                                      .problem = "no checkpoint of the run can be used",
                                      .found = newest.bad.front().reason,
                                      .hint = "they are left as they are; to start again, give another `output`"});
    }
    if (!newest.checkpoint && std::filesystem::exists(artefact_dir(config()))) {
      throw Error(ErrorKind::kModel,
                  {.where = dir_.string(),
                   .problem = "the run is finished and its checkpoints are gone: there is nothing to resume",
                   .found = artefact_dir(config()).string(),
                   .hint = "to train again, give another `output`"});
    }
    if (newest.checkpoint) restore(*newest.checkpoint, newest.dir);
    for (const io::BadCheckpoint& bad : newest.bad) {  // the run comes to their steps again
      log_warn("kept as " + io::set_aside_checkpoint(bad.dir).string());
    }
    write_file_atomically(dir_ / "config.yaml", config::to_yaml(resolved(config())));
    log_ = std::make_unique<MetricsLog>(dir_);
    state_.history = log_->rewind_to(state_.metrics_size);
    run_seconds_before_ = state_.run_seconds;

    stream_ = std::make_unique<data::TrainingStream>(
        setup_.train_rows, data::stream_options(config().train, setup_.dataset), state_.cursor);
    const int64_t steps_per_epoch = stream_->sampler().steps_per_epoch();
    total_ = total_steps(config().train, steps_per_epoch);
    evaluate_every_ = config().eval.every_steps > 0 ? config().eval.every_steps : steps_per_epoch;
    save_every_ = config().checkpoint.every_steps > 0 ? config().checkpoint.every_steps : evaluate_every_;
    learning_rate_ = {
        .peak = config().train.learning_rate,
        .schedule = config().train.schedule,
        .warmup_steps = static_cast<int64_t>(std::ceil(config().train.warmup_ratio * static_cast<double>(total_))),
        .total_steps = total_};
  }

  void restore(const io::Checkpoint& checkpoint, const std::filesystem::path& dir) {
    setup_.identity.require_same(checkpoint.identity, dir.string());
    state_ = TrainerState::from_json(checkpoint.state, (dir / "state.json").string());
    load_parameters(setup_.model, checkpoint.tensors);
    optimizer_.load_state(checkpoint.tensors, state_.step);
    stopped_early_ = out_of_patience();
    warn_of_another_machine(checkpoint.state.value("machine", nlohmann::json::object()), this_machine(config()),
                            "the resumed run will not be the uninterrupted one to the bit");
    log_info("resuming at step " + std::to_string(state_.step) + " from " + dir.string());
  }

  void take_step() {
    const auto begin = std::chrono::steady_clock::now();
    const data::StepBatches batches = stream_->next();
    const StepOptions options{.dropout = config().adapter.dropout > 0,
                              .recompute = layer_recompute(config().train.recompute)};
    optimizer_.zero_gradients();
    StepLoss loss;
    try {
      if (reports_conflict()) {
        conflict_ = task_conflict(setup_.model, batches, options);
        optimizer_.zero_gradients();
      }
      loss = accumulate_gradients(setup_.model, batches, options);
    } catch (const NonFiniteLoss& at) {
      throw_non_finite_loss(setup_, data::Split::kTrain, batches, at, state_.step + 1);
    }
    gradient_norm_ = optimizer_.gradient_norm();
    if (!std::isfinite(gradient_norm_)) {
      throw_non_finite_gradient(setup_, batches, options, optimizer_, state_.step + 1);
    }
    const double clip = config().train.clip;
    if (clip > 0 && gradient_norm_ > clip) optimizer_.scale_gradients(clip / gradient_norm_);
    optimizer_.step(learning_rate_.at(state_.step));
    if (setup_.model.adapters) setup_.model.adapters->refresh();

    ++state_.step;
    state_.cursor = stream_->cursor();
    state_.tokens += batches.tokens;
    state_.window.add(loss);
    ++state_.window_steps;
    process_tokens_ += batches.tokens;
    const double seconds = seconds_since(begin);
    process_seconds_ += seconds;
    state_.seconds += seconds;
  }

  /// Of the step that is being taken.
  bool reports_conflict() const {
    const int64_t every = config().train.conflict_every;
    return every > 0 && (state_.step + 1) % every == 0 && setup_.model.adapters && setup_.dataset.tasks.size() > 1;
  }

  /// The cosine of each two tasks' gradients: {"a": {"b": …, "c": …}, "b": {"c": …}}, of the tasks in the step.
  void log_conflict() {
    ordered_json cosines = ordered_json::object();
    for (size_t one = 0; one < conflict_.size(); ++one) {
      for (size_t other = one + 1; other < conflict_.size(); ++other) {
        const std::vector<data::Task>& tasks = setup_.dataset.tasks;
        if (const auto cosine = conflict_[one][other]) cosines[tasks[one].name][tasks[other].name] = *cosine;
      }
    }
    record({{"step", state_.step}, {"epoch", epoch()}, {"conflict", std::move(cosines)}});
    conflict_.clear();
  }

  std::string rate_and_loss() const {
    char text[96];
    std::snprintf(text, sizeof text, "loss %.4f  %.0f tokens/s", state_.window.total().mean(), rate());
    return text;
  }
  double rate() const { return process_seconds_ > 0 ? static_cast<double>(process_tokens_) / process_seconds_ : 0; }

  void record(ordered_json line, const std::map<std::string, double>& more_events = {}) {
    log_->write(line, more_events);
    line.erase("time");
    state_.history.push_back(nlohmann::json(line));
  }

  void log_losses() {
    ordered_json line = {{"step", state_.step},
                         {"epoch", epoch()},
                         {"train",
                          {{"loss", state_.window.total().mean()},
                           {"objective", state_.window.objective / static_cast<double>(state_.window_steps)},
                           {"learning_rate", learning_rate_.at(state_.step - 1)},
                           {"gradient_norm", gradient_norm_},
                           {"tokens", state_.tokens}}},
                         {"task", task_losses(setup_, state_.window)},
                         {"time", {{"tokens_per_s", rate()}, {"seconds", state_.seconds}}}};
    record(std::move(line));
    state_.window = {};
    state_.window_steps = 0;
  }

  double epoch() const {
    return static_cast<double>(state_.step) / static_cast<double>(stream_->sampler().steps_per_epoch());
  }

  /// A signal in an evaluation leaves the step without one: the checkpoint says that it is due, and the resumed run
  /// begins with it.
  void evaluate_or_stop() {
    try {
      evaluate();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInterrupted) throw;
      if (!state_.evaluation_due) {
        state_.evaluation_due = true;
        save();
      }
      stop_for_interrupt(" in its evaluation");
    }
  }

  /// `eval/<task>/<metric>` beside `eval/<task>/score`, and the entropy of each gate's weights (in nats, the mean over
  /// the tasks).
  std::map<std::string, double> evaluation_events(const std::map<std::string, double>& scores) const {
    std::map<std::string, double> events;
    if (config().eval.generate) {
      for (const auto& [task, score] : scores) {
        events["eval/" + task + "/" +
               eval::metrics_of(setup_.dataset.tasks[setup_.dataset.task_index(task)]).front().name] = score;
      }
    }
    if (!setup_.model.adapters || config().adapter.method != config::Method::kMoelora) return events;
    for (const adapters::GateTable& gate : setup_.model.adapters->gates())
      events["gate/" + gate.name + "/entropy"] = mean_entropy(gate);
    return events;
  }

  /// Loss (and, where asked for, scores) on the dev rows; decides what is best so far. Where it throws, the state is as
  /// before.
  void evaluate() {
    if (setup_.dev_rows->size() == 0) return;
    const DevEvaluation dev = evaluate_on_dev(setup_, options_.dev_scores, state_.step);
    record({{"step", state_.step}, {"epoch", epoch()}, {"eval", dev.tasks}}, evaluation_events(dev.scores));
    const auto [value, by_score] = std::pair(dev.value, dev.by_score());
    const bool improved = !state_.best || (by_score ? value > state_.best->value : value < state_.best->value);
    if (improved) state_.best = Best{state_.step, value};
    state_.evaluation_due = false;
    state_.evaluations_without_improvement = improved ? 0 : state_.evaluations_without_improvement + 1;
    stopped_early_ = out_of_patience();
    char text[160];
    std::snprintf(text, sizeof text, "step %lld: dev %s %.4f (%s)%s", static_cast<long long>(state_.step),
                  by_score ? "score" : "loss", value, config().eval.best.c_str(), improved ? ", best so far" : "");
    if (!options_.quiet) log_info(text);
  }

  bool out_of_patience() const {
    return config().eval.patience > 0 && state_.evaluations_without_improvement >= config().eval.patience;
  }

  void save() {
    state_.metrics_size = log_->sync();
    state_.run_seconds = run_seconds();
    io::Checkpoint checkpoint{.step = state_.step, .state = state_.to_json(), .identity = setup_.identity.to_json()};
    checkpoint.state["machine"] = this_machine(config()).to_json();
    checkpoint.tensors = parameters_;
    for (NamedTensor& tensor : optimizer_.state()) checkpoint.tensors.push_back(std::move(tensor));
    io::save_checkpoint(dir_, checkpoint);
    write_trainer_state();
    std::vector<int64_t> protected_steps;
    if (state_.best) protected_steps.push_back(state_.best->step);
    io::prune_checkpoints(dir_, config().checkpoint.keep, protected_steps);
  }

  void write_trainer_state() const {
    write_file_atomically(dir_ / "trainer_state.json", hf_trainer_state(state_, epoch(), total_).dump(2) + "\n");
  }

  /// A checkpoint of the step stands there.
  [[noreturn]] void stop_for_interrupt(const std::string& where) const {
    throw Error(ErrorKind::kInterrupted, {.where = dir_.string(),
                                          .problem = "interrupted after step " + std::to_string(state_.step) + " of " +
                                                     std::to_string(total_) + where + "; a checkpoint was written",
                                          .hint = "continue with --resume"});
  }

  TrainResult finish() {
    TrainResult result{.steps = state_.step,
                       .best_step = state_.best ? state_.best->step : state_.step,
                       .best_value = state_.best ? std::optional(state_.best->value) : std::nullopt,
                       .stopped_early = stopped_early_,
                       .tokens = state_.tokens,
                       .seconds = state_.seconds,
                       .run_seconds = run_seconds(),
                       .artefact = artefact_dir(config())};
    if (result.best_step != state_.step) {
      load_parameters(setup_.model, io::load_checkpoint(io::checkpoint_dir(dir_, result.best_step)).tensors);
    }
    if (!std::filesystem::exists(result.artefact)) write_artefact(setup_, result.best_step);
    return result;
  }

  double run_seconds() const { return run_seconds_before_ + seconds_since(begin_); }

  RunSetup& setup_;
  const TrainOptions& options_;
  std::filesystem::path dir_;
  RunLock lock_;
  std::vector<NamedTensor> parameters_;
  AdamW optimizer_;
  TrainerState state_;
  LearningRate learning_rate_;
  std::unique_ptr<MetricsLog> log_;
  std::unique_ptr<data::TrainingStream> stream_;
  int64_t total_ = 0;
  int64_t evaluate_every_ = 1;
  int64_t save_every_ = 1;
  bool stopped_early_ = false;
  double gradient_norm_ = 0;
  TaskConflict conflict_;       // of the step just taken; empty where it isn't reported
  int64_t process_tokens_ = 0;  // of this process: what its rate is made of
  double process_seconds_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double run_seconds_before_ = 0;  // of the processes before this one
};

}  // namespace

int64_t total_steps(const config::TrainConfig& config, int64_t steps_per_epoch) {
  if (config.max_steps > 0) return config.max_steps;
  return std::max<int64_t>(
      1, static_cast<int64_t>(std::ceil(config.epochs * static_cast<double>(steps_per_epoch) - 1e-9)));
}

TrainResult train(RunSetup& setup, const TrainOptions& options) {
  if (config::is_made_of_runs(setup.config.adapter.method)) return train_runs(setup, options);
  return Run(setup, options).train();
}

}  // namespace moelora::train
