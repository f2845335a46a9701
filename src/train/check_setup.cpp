#include "train/check_setup.h"

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "config/enum_names.h"
#include "config/method.h"
#include "config/task_name.h"
#include "core/error.h"
#include "core/suggest.h"
#include "data/training_stream.h"
#include "eval/task_metrics.h"
#include "train/plan.h"

namespace moelora::train {
namespace {

constexpr size_t kMostRowErrors = 20;

/// `eval.best` must name a task that is evaluated; with `per_task` every task must be, unless each has a run of its
/// own.
void check_best(const RunSetup& setup, std::vector<Error>& errors) {
  const std::string& best = setup.config.eval.best;
  std::vector<std::string> evaluated, others;
  for (size_t t = 0; t < setup.dataset.tasks.size(); ++t) {
    (setup.dev_rows->stats()[t].samples > 0 ? evaluated : others).push_back(setup.dataset.tasks[t].name);
  }
  if (best == config::kBestPerTask) {
    if (others.empty() || config::is_made_of_runs(setup.config.adapter.method)) return;
    errors.push_back(
        Error(ErrorKind::kConfig, {.where = "eval.best",
                                   .problem = "a task without dev rows that fit has no best step of its own",
                                   .found = "no dev rows of " + list_names(others),
                                   .expected = "dev rows for every task, or `eval.best: mean`"}));
    return;
  }
  if (best == config::kBestOfMean || evaluated.empty()) return;
  if (std::ranges::find(evaluated, best) != evaluated.end()) return;
  errors.push_back(Error(ErrorKind::kConfig, {.where = "eval.best",
                                              .problem = "no task of that name has dev rows that fit",
                                              .found = best,
                                              .expected = "mean, per_task, or one of " + list_names(evaluated),
                                              .hint = did_you_mean(best, evaluated)}));
}

/// A group's name is a directory of a method that is made of several runs.
void check_groups(const RunSetup& setup, std::vector<Error>& errors) {
  for (const data::Task& task : setup.dataset.tasks) {
    if (!task.settings.group || config::is_task_name(*task.settings.group)) continue;
    errors.push_back(Error(ErrorKind::kConfig, {.where = "tasks." + task.name + ".group",
                                                .problem = "can't be a name, as of a task",
                                                .found = *task.settings.group,
                                                .expected = config::kTaskNameRule}));
  }
  try {
    setup.groups();
  } catch (const Error& error) {
    errors.push_back(error);
  }
}

/// Where what a method makes of the tasks' LoRAs is decided on their dev rows, each must have some.
void check_dev_rows(const RunSetup& setup, std::vector<Error>& errors) {
  const config::Method method = setup.config.adapter.method;
  if (!config::finds_weights_on_dev_rows(method)) return;
  std::map<std::string, bool> has_rows;  // by task or group of tasks
  for (size_t t = 0; t < setup.dataset.tasks.size(); ++t) {
    const data::Task& task = setup.dataset.tasks[t];
    has_rows[task.settings.group.value_or(task.name)] |= setup.dev_rows->stats()[t].samples > 0;
  }
  std::vector<std::string> without;
  for (const auto& [name, has] : has_rows) {
    if (!has) without.push_back(name);
  }
  if (without.empty()) return;
  errors.push_back(Error(ErrorKind::kConfig,
                         {.where = "adapter.method",
                          .problem = "the method finds its weights on the tasks' dev rows",
                          .found = config::name_of(method) + ", and no dev rows that fit of " + list_names(without),
                          .expected = "dev rows for every task",
                          .hint = "`lora_per_task` needs none"}));
}

void check_start(const RunSetup& setup, std::vector<Error>& errors) {
  const config::AdapterConfig& adapter = setup.config.adapter;
  if (adapter.start.empty() || config::trains_one_adapter(adapter.method)) return;
  errors.push_back(Error(ErrorKind::kConfig,
                         {.where = "adapter.start",
                          .problem = config::trains_base(adapter.method)
                                         ? "the method trains the model itself, not an adapter that could start there"
                                         : "the method is made of several runs, which have no one start",
                          .found = "adapter.method " + config::name_of(adapter.method),
                          .expected = "a method that trains one adapter, or no `adapter.start`"}));
}

void check_shares(const RunSetup& setup, std::vector<Error>& errors) {
  try {
    data::sampler_options(setup.config.train, setup.dataset);
  } catch (const Error& error) {
    errors.push_back(error);
  }
}

void check_metrics(RunSetup& setup, std::vector<Error>& errors) {
  for (const data::Task& task : setup.dataset.tasks) {
    if (task.settings.metric) {
      try {
        eval::parse_metric_specs(*task.settings.metric, "tasks." + task.name + ".metric");
      } catch (const Error& error) {
        errors.push_back(error);
        continue;
      }
    }
    for (const data::Split split : {data::Split::kDev, data::Split::kTest}) {
      const bool needed = split == data::Split::kDev && setup.config.eval.generate;
      if (split == data::Split::kDev && !needed) continue;
      for (const Error& problem : eval::scoring_problems(task, split)) {
        if (needed) {
          errors.push_back(problem);
        } else {
          setup.dataset.warnings.push_back("the test rows of task " + task.name +
                                           " can't be scored so: " + problem.what() +
                                           "; `moelora eval` will need --metric " + task.name + "=METRIC");
        }
      }
    }
  }
}

void check_targets(const RunSetup& setup, std::vector<Error>& errors) {
  try {
    plan_model(setup.config, setup.base.shape, static_cast<int64_t>(setup.dataset.tasks.size()));
  } catch (const Error& error) {
    errors.push_back(error);
  }
}

void check_rows(const RunSetup& setup, data::Split split, const data::EncodedRows& rows, std::vector<Error>& errors) {
  const nn::ModelConfig& shape = setup.base.shape;
  size_t found = 0;
  for (int64_t i = 0; i < rows.size() && found < kMostRowErrors; ++i) {
    const auto where = [&] { return setup.dataset.tasks[rows.task(i)].of(split)[rows.row(i)].where(); };
    const std::span<const int32_t> ids = rows.ids(i);
    const int64_t positions = static_cast<int64_t>(ids.size()) - 1;  // the last token is predicted only
    const int32_t largest = *std::ranges::max_element(ids);
    if (positions > shape.max_positions) {
      errors.push_back(
          Error(ErrorKind::kData, {.where = where(),
                                   .problem = "the row is longer than the model's context",
                                   .found = std::to_string(ids.size()) + " tokens with the end token",
                                   .expected = "at most " + std::to_string(shape.max_positions + 1),
                                   .hint = "set data.max_length: " + std::to_string(shape.max_positions + 1)}));
      ++found;
    } else if (largest >= shape.vocab_size) {
      errors.push_back(
          Error(ErrorKind::kData,
                {.where = where(),
                 .problem = "the row has a token that the model doesn't: its tokenizer has ids beyond its vocab_size",
                 .found = "id " + std::to_string(largest),
                 .expected = "less than " + std::to_string(shape.vocab_size)}));
      ++found;
    }
  }
}

}  // namespace

void check_setup(RunSetup& setup) {
  std::vector<Error> errors;
  check_best(setup, errors);
  check_groups(setup, errors);
  check_dev_rows(setup, errors);
  check_start(setup, errors);
  check_shares(setup, errors);
  check_metrics(setup, errors);
  check_targets(setup, errors);
  check_rows(setup, data::Split::kTrain, *setup.train_rows, errors);
  check_rows(setup, data::Split::kDev, *setup.dev_rows, errors);
  if (!errors.empty()) throw ErrorList(std::move(errors));
}

}  // namespace moelora::train
