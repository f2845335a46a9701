#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "config/load.h"
#include "config/method.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "data/training_stream.h"
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
#include "train/snapshots.h"

namespace moelora::train {
namespace {

using nlohmann::ordered_json;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Run {
 public:
  Run(RunSetup& setup, const TrainOptions& options)
      : setup_(setup),
        options_(options),
        dir_(setup.config.output),
        lock_(dir_),
        groups_(setup.groups()),
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
      if (state_.step % config().train.log_every == 0 && state_.window_steps > 0) log_losses();
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
    if (options_.resume && std::filesystem::exists(dir_ / kRecordOfRuns)) {
      throw Error(ErrorKind::kModel, {.where = dir_.string(),
                                      .problem = "a run of another method stands there",
                                      .found = "one that is made of several runs",
                                      .hint = "give another `output`"});
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
    state_.standings.resize(per_task() ? groups_.count() : 1);
    for (const io::BadCheckpoint& bad : newest.bad) {  // the run comes to their steps again
      log_warn("kept as " + io::set_aside_checkpoint(bad.dir).string());
    }
    write_file_atomically(dir_ / "config.yaml", config::to_yaml(resolved(config())));
    log_ = std::make_unique<MetricsLog>(dir_);
    state_.history = log_->rewind_to(state_.metrics_size);
    run_seconds_before_ = state_.run_seconds;

    open_stream();
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
    optimizer_.load_state(checkpoint.tensors, state_.step - state_.idle_steps);
    stopped_early_ = all_stopped();
    warn_of_another_machine(checkpoint.state.value("machine", nlohmann::json::object()), this_machine(config()),
                            "the resumed run will not be the uninterrupted one to the bit");
    log_info("resuming at step " + std::to_string(state_.step) + " from " + dir.string());
  }

  /// From the state's position on, without the tasks that are stopped.
  void open_stream() {
    data::StreamOptions options = data::stream_options(config().train, setup_.dataset);
    if (per_task()) {
      for (const int64_t group : groups_.of_task) options.without.push_back(is_stopped(state_.standings[group]));
    }
    stream_ = std::make_unique<data::TrainingStream>(setup_.train_rows, options, state_.cursor);
  }

  void take_step() {
    const auto begin = std::chrono::steady_clock::now();
    const data::StepBatches batches = stream_->next();
    if (batches.packs.empty()) {
      ++state_.step;
      ++state_.idle_steps;
      state_.cursor = stream_->cursor();
      return;
    }
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

  /// Loss (and, where asked for, scores) on the dev rows; decides what is best so far. Where it throws, the state is as
  /// before.
  void evaluate() {
    if (setup_.dev_rows->size() == 0) return;
    const DevEvaluation dev = evaluate_on_dev(setup_, options_.dev_scores, state_.step);
    record({{"step", state_.step}, {"epoch", epoch()}, {"eval", dev.tasks}}, evaluation_events(setup_, dev.scores));
    std::string improved, stopped;  // names
    for (size_t i = 0; i < state_.standings.size(); ++i) {
      Standing& standing = state_.standings[i];
      if (is_stopped(standing)) continue;
      if (standing.add({state_.step, dev.judged[i]}, dev.by_score())) improved += " " + groups_.names[i];
      if (is_stopped(standing)) stopped += " " + groups_.names[i];
    }
    state_.evaluation_due = false;
    stopped_early_ = all_stopped();
    if (per_task() && !stopped.empty()) open_stream();
    char text[160];
    std::snprintf(text, sizeof text, "step %lld: dev %s %.4f (%s)", static_cast<long long>(state_.step),
                  dev.by_score() ? "score" : "loss", dev.value, per_task() ? "mean" : config().eval.best.c_str());
    std::string line = text;
    if (!improved.empty()) line += ", best so far" + (per_task() ? " of" + improved : "");
    if (per_task() && !stopped.empty()) line += ", no longer trained:" + stopped;
    if (!options_.quiet) log_info(line);
  }

  bool per_task() const { return config().eval.best == config::kBestPerTask; }
  bool is_stopped(const Standing& standing) const { return standing.is_stopped(config().eval.patience); }
  bool all_stopped() const {
    return std::ranges::all_of(state_.standings, [this](const Standing& standing) { return is_stopped(standing); });
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
    for (const Standing& standing : state_.standings) {
      if (standing.best) protected_steps.push_back(standing.best->step);
    }
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
                       .best_step = state_.step,
                       .stopped_early = stopped_early_ && state_.step < total_,
                       .tokens = state_.tokens,
                       .seconds = state_.seconds,
                       .run_seconds = run_seconds(),
                       .artefact = artefact_dir(config())};
    if (per_task()) {
      take_best_steps(result);
    } else if (const std::optional<Best>& best = state_.standings[0].best) {
      result.best_step = best->step;
      result.best_value = best->value;
      if (best->step != state_.step)
        load_parameters(setup_.model, io::load_checkpoint(io::checkpoint_dir(dir_, best->step)).tensors);
    }
    if (!std::filesystem::exists(result.artefact)) write_artefact(setup_, result.best_step, result.task_steps);
    return result;
  }

  /// Each task's own; all have dev rows (train/check_setup.h).
  void take_best_steps(TrainResult& result) {
    double sum = 0;
    for (const int64_t group : groups_.of_task) {
      const Best& best = state_.standings[group].best.value();
      result.task_steps.push_back(best.step);
      sum += best.value;
    }
    result.best_step = std::ranges::max(result.task_steps);
    result.best_value = sum / static_cast<double>(result.task_steps.size());
    load_snapshots(setup_, result.task_steps);
  }

  double run_seconds() const { return run_seconds_before_ + seconds_since(begin_); }

  RunSetup& setup_;
  const TrainOptions& options_;
  std::filesystem::path dir_;
  RunLock lock_;
  config::TaskGroups groups_;
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
