#include "compare/runner.h"

#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include "compare/code_hash.h"
#include "compare/rate_search.h"
#include "compare/result_store.h"
#include "compare/run_record.h"
#include "compare/selection.h"
#include "compare/task_runs.h"
#include "config/load.h"
#include "config/method.h"
#include "core/durable.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/suggest.h"
#include "eval/evaluator.h"
#include "train/machine.h"
#include "train/plan.h"

namespace moelora::compare {
namespace {

namespace fs = std::filesystem;

/// The fewest digits that are read as this very number.
std::string shortest(double number) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

class Runner {
 public:
  Runner(const config::CompareSpec& spec, const RunnerOptions& options) : options_(options), results_(spec.results) {
    comparison_.spec = spec;
    if (!options.code.empty() && !options.report_only)
      throw Error(ErrorKind::kInternal, {.where = "compare", .problem = "can't compute what other sources would"});
    comparison_.surroundings.code = options.code.empty() ? std::string(code_hash()) : results_.code_of(options.code);
    fs::create_directories(spec.output);
  }

  Comparison run() {
    look_around();
    if (options_.report_only) {
      pass();
      keep_what_is_whole();
      return std::move(comparison_);
    }
    while (!pass()) {
      if (comparison_.computed > computed_before_pass_) continue;
      throw_if_interrupted();
      std::this_thread::sleep_for(std::chrono::seconds(1));  // other processes compute all that is left
    }
    throw_if_diverged(comparison_);
    return std::move(comparison_);
  }

 private:
  using Form = std::pair<at::ScalarType, nn::LinearForm>;

  const config::CompareSpec& spec() const { return comparison_.spec; }

  /// The hashes of what all runs share, which `shared` changes nothing of; and all runs.
  void look_around() {
    const config::RunConfig config = config::load_config(spec().config);
    const train::BaseFiles files = train::read_base_files(config.model);
    const data::Dataset dataset = data::load_dataset(config.data, config.tasks);
    const auto renderer = train::make_renderer(files, config.chat_template);
    comparison_.surroundings.run = {.base = train::base_hash(files, config),
                                    .shape = files.shape_hash,
                                    .tokenizer = train::tokenizer_hash(files),
                                    .special_tokens = renderer->special_tokens_hash(),
                                    .chat_template = renderer->template_hash(),
                                    .data = dataset.hash,
                                    .config = {}};
    make_cells(files.shape, dataset.task_names());
    for (const fs::path& file : spec().rates)
      comparison_.searches.push_back(read_search(file, comparison_.surroundings));
  }

  /// Every configuration is read before the first run, so that a mistake in the last one doesn't cost the others'
  /// hours, and once: what is written to the file meanwhile counts for no run. What depends on the memory there is, is
  /// decided now, when nothing of it is taken.
  void make_cells(const nn::ModelConfig& shape, const std::vector<std::string>& tasks) {
    for (const Variant& variant : variants(spec())) {
      std::vector<std::string> rates = spec().learning_rates;
      if (rates.empty()) {
        const Cell own = make_cell(spec(), variant, "", spec().seeds.front(), comparison_.surroundings);
        rates = {shortest(own.config.train.learning_rate)};
      }
      if (!rates_.emplace(variant.name, rates).second) {
        throw Error(ErrorKind::kConfig, {.where = spec().config.string(),
                                         .problem = "two methods have one name at points of the sweep",
                                         .found = variant.name});
      }
      for (const std::string& rate : rates) {
        for (const uint64_t seed : spec().seeds) {
          Cell cell = make_cell(spec(), variant, rate, seed, comparison_.surroundings);
          const int64_t groups = config::task_groups(tasks, cell.config.tasks).count();
          const int64_t jobs = options_.processes;
          cell.config.train.recompute = train::choose_recompute(cell.config, shape, groups, jobs);
          cell.config.train.weight_layout = train::choose_weight_layout(cell.config, shape, groups, jobs);
          cells_.emplace(std::tuple(variant.name, rate, seed), std::move(cell));
        }
      }
    }
  }

  const Cell& cell_of(const Variant& variant, const std::string& rate, uint64_t seed) const {
    return cells_.at(std::tuple(variant.name, rate, seed));
  }

  /// The run of the first rate and seed.
  const Cell& first_cell_of(const Variant& variant) const {
    return cell_of(variant, rates_.at(variant.name).front(), spec().seeds.front());
  }

  /// What is wrong with any method's rows comes before the first run too, those that it is tested on included: what
  /// mends it makes other runs of all that were trained before. Takes as long as preparing one run of each method.
  void check_rows() {
    if (rows_are_checked_) return;
    std::set<std::string> warnings;
    for (const Variant& variant : variants(spec())) {
      const train::RunSetup setup = train::prepare_data(first_cell_of(variant).config);
      eval::check_rows(setup.base.shape, setup.dataset, data::Split::kTest, *setup.renderer,
                       test_options(setup.config));
      warnings.insert(setup.dataset.warnings.begin(), setup.dataset.warnings.end());
    }
    for (const std::string& warning : warnings) log_warn(warning);
    rows_are_checked_ = true;
  }

  /// Every run once, without those that other processes are at: a seed of every variant before the next seed, so that a
  /// comparison that is cut has as much of each. Whether all results are there.
  bool pass() {
    computed_before_pass_ = comparison_.computed;
    comparison_.variants.clear();
    comparison_.diverged.clear();
    wanted_keys_.clear();
    missing_keys_.clear();
    known_keys_.clear();
    runs_of_unknown_rates_ = 0;
    RateSearch own{
        .code = comparison_.surroundings.code, .seed = spec().seeds.front(), .learning_rates = spec().learning_rates};
    for (const Variant& variant : variants(spec())) {
      VariantResults chosen{.variant = variant};
      const bool is_chosen = choose_learning_rate(chosen);
      own.dev_is_score = first_cell_of(variant).config.eval.generate;
      own.variants.push_back(chosen);
      if (is_chosen) {
        comparison_.variants.push_back(std::move(chosen));
      } else if (chosen.trials.size() < spec().learning_rates.size()) {
        runs_of_unknown_rates_ += static_cast<int64_t>(spec().seeds.size()) - 1;  // the first is one of its trials
      }
    }
    if (!own.learning_rates.empty()) comparison_.searches = {std::move(own)};
    for (const uint64_t seed : spec().seeds) {
      for (VariantResults& all : comparison_.variants) {
        std::optional<Result> result = result_of(cell_of(all.variant, all.learning_rate, seed), /*with_test=*/true);
        if (result && !result->diverged.empty()) {
          comparison_.diverged.push_back({all.variant.name, seed, all.learning_rate, result->diverged});
        } else if (result) {
          all.seeds.push_back(std::move(*result));
        }
      }
    }
    comparison_.known = std::ssize(known_keys_);
    return missing_keys_.empty();
  }

  /// What isn't known is counted, and left out.
  void keep_what_is_whole() {
    const int64_t wanted = std::ssize(wanted_keys_) + runs_of_unknown_rates_;
    comparison_.missing = std::ssize(missing_keys_) + runs_of_unknown_rates_;
    const int64_t found = wanted - comparison_.missing;
    keep_whole_seeds(comparison_);
    if (!comparison_.variants.empty() && !spec().seeds.empty()) return;
    comparison_.variants.clear();
    if (!spec().learning_rates.empty() && has_trials(comparison_.searches.front())) return;
    throw_if_diverged(comparison_);
    const std::vector<std::string> others = results_.list_codes(comparison_.surroundings.code);
    throw Error(ErrorKind::kData,
                {.where = spec().results.string(),
                 .problem = "nothing to report",
                 .found = std::to_string(found) + " of " + std::to_string(wanted) + " results",
                 .expected = "a seed that every method with results has",
                 .hint = others.empty() ? "without --report-only, `moelora compare` computes what is missing"
                                        : "other versions' results are shown with --code: " + list_names(others)});
  }

  /// False where a trial isn't done, as another process is at it or nothing is computed, and where every rate
  /// diverged.
  bool choose_learning_rate(VariantResults& all) {
    const std::vector<std::string>& grid = spec().learning_rates;
    if (grid.empty()) {
      all.learning_rate = rates_.at(all.variant.name).front();
      return true;
    }
    bool higher_is_better = false;  // of the configuration, which a run that diverged says nothing of
    std::string problem;
    for (const std::string& rate : grid) {
      const Cell& cell = cell_of(all.variant, rate, spec().seeds.front());
      const std::optional<Result> result = result_of(cell, /*with_test=*/grid.size() == 1);
      if (!result) continue;
      all.trials.push_back(make_trial(rate, *result));
      higher_is_better = cell.config.eval.generate;
      if (all.trials.back().diverged && problem.empty()) problem = result->diverged;
    }
    if (all.trials.empty() || (all.trials.size() < grid.size() && !options_.report_only)) return false;
    if (take_best_rate(grid, higher_is_better, all)) return true;
    if (all.trials.size() < grid.size()) return false;  // of a report alone: the others may not diverge
    comparison_.diverged.push_back({all.variant.name, spec().seeds.front(), list_names(grid), problem});
    return false;
  }

  /// What stands there already or is computed now; nothing where another process is at it.
  std::optional<Result> result_of(const Cell& cell, bool with_test) {
    std::optional<Result> result = find_or_compute(cell, with_test);
    wanted_keys_.insert(cell.key);
    if (!result) missing_keys_.insert(cell.key);
    return result;
  }

  std::optional<Result> find_or_compute(const Cell& cell, bool with_test) {
    std::optional<Result> result = results_.find(cell, with_test);
    if (!result && options_.report_only) return std::nullopt;
    if (!result) {
      check_rows();
      const std::unique_ptr<RunLock> claim = RunLock::take_if_free(claim_of(cell));
      if (!claim) return std::nullopt;
      result = results_.find(cell, with_test);  // the process that had it may have finished a moment ago
      if (!result) {
        result = compute(cell, with_test);
        results_.keep(*result);
        computed_keys_.insert(cell.key);
        ++comparison_.computed;
        return result;
      }
    }
    if (!computed_keys_.contains(cell.key)) known_keys_.insert(cell.key);
    return result;
  }

  /// A directory whose lock says that a process is at the run.
  fs::path claim_of(const Cell& cell) const {
    const bool shared = config::is_made_of_runs(cell.config.adapter.method);
    return fs::path(spec().output) / "claims" / (shared ? tasks_key(cell) : cell.key);
  }

  Result compute(const Cell& cell, bool with_test) {
    Result result{.key = cell.key,
                  .variant = cell.variant.name,
                  .learning_rate = cell.learning_rate,
                  .seed = cell.seed,
                  .identity = cell.identity};
    try {
      train_and_test(cell, with_test, result);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kNumeric) throw;
      result.diverged = error.details().where + ": " + error.details().problem;
      log_warn(cell.variant.name + ", seed " + std::to_string(cell.seed) + ": diverged: " + result.diverged);
    }
    return result;
  }

  /// Fills `result`. The base that a run diverged over isn't kept: what the run left of it isn't known.
  void train_and_test(const Cell& cell, bool with_test, Result& result) {
    if (!options_.quiet) {
      log_info(cell.variant.name + ", seed " + std::to_string(cell.seed) +
               (cell.learning_rate.empty() ? "" : ", learning rate " + cell.learning_rate));
    }
    const fs::path dir = cell.config.output;
    share_task_runs(cell, spec().output);
    fs::create_directories(dir);
    train::RunSetup setup = train::prepare_data(cell.config);
    attach_base(setup);
    check_unchanged(setup);
    {
      const Stopwatch watch(dir / "train_seconds.json");
      const train::TrainResult trained =
          train::train(setup, {.resume = fs::exists(dir / "config.yaml"),
                               .quiet = options_.quiet,
                               .dev_scores = cell.config.eval.generate ? options_.dev_scores : train::DevScores()});
      result.steps = trained.steps;
      result.best_step = trained.best_step;
      result.dev = trained.best_value;
      result.train_seconds = watch.seconds();
    }
    result.dev_is_score = cell.config.eval.generate;
    result.parameters = train::plan_model(cell.config, setup.base.shape, setup.groups().count()).trained_parameters;
    read_curves(dir, result);
    if (config::has_task_gate(cell.config.adapter.method)) {
      result.gates = setup.model.adapters->gates();
      result.gate_tasks = setup.model.adapters->tasks();
    }
    if (with_test) test(setup, result);
    if (!config::trains_base(cell.config.adapter.method)) base_ = {setup.model.take_base(), setup.identity.base};
  }

  /// The loaded base; one loaded anew where training changes it, or wants it in another form. Never two at once.
  void attach_base(train::RunSetup& setup) {
    train::use_threads(setup.config.train);
    const bool is_changed = config::trains_base(setup.config.adapter.method);
    if (is_changed || !base_.decoder || form_of(setup.config) != base_form_) {
      base_ = {};
      base_ = train::load_base(setup.base, setup.config, train::training_form(setup.config));
      base_form_ = form_of(setup.config);
    }
    train::attach(setup, std::move(base_));
  }

  /// A result stands under what there was when the comparison began.
  void check_unchanged(const train::RunSetup& setup) const {
    train::Identity began = comparison_.surroundings.run;
    if (setup.config.random_init) began.base.clear();  // it is the seed's
    began.require_unchanged(setup.identity, spec().config.string());
  }

  static Form form_of(const config::RunConfig& config) {
    return {train::compute_dtype(config.train.dtype), train::training_form(config)};
  }

  eval::EvaluateOptions test_options(const config::RunConfig& config) const {
    eval::EvaluateOptions options{.eval = config.eval, .seed = config.train.seed};
    options.eval.rows = spec().test_rows;
    return options;
  }

  void test(const train::RunSetup& setup, Result& result) const {
    const eval::Evaluation evaluation =
        eval::evaluate(setup.model, setup.dataset, data::Split::kTest, *setup.renderer, test_options(setup.config));
    record_test(evaluation, result);
  }

  const RunnerOptions& options_;
  ResultStore results_;
  Comparison comparison_;
  std::map<std::string, std::vector<std::string>> rates_;  // of each variant: the grid, or the configuration's own
  std::map<std::tuple<std::string, std::string, uint64_t>, Cell> cells_;  // by variant, learning rate and seed
  std::set<std::string> computed_keys_;
  std::set<std::string> wanted_keys_, known_keys_, missing_keys_;  // of this pass
  int64_t runs_of_unknown_rates_ = 0;                              // whose keys can't be known yet
  int64_t computed_before_pass_ = 0;
  bool rows_are_checked_ = false;
  train::LoadedBase base_;
  Form base_form_;
};

}  // namespace

Comparison run_comparison(const config::CompareSpec& spec, const RunnerOptions& options) {
  return Runner(spec, options).run();
}

}  // namespace moelora::compare
