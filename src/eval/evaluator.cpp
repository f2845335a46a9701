#include "eval/evaluator.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <utility>

#include "adapters/model.h"
#include "core/error.h"
#include "data/encode.h"
#include "data/evenly_spaced.h"
#include "eval/baselines.h"
#include "eval/task_metrics.h"
#include "generate/engine.h"

namespace moelora::eval {
namespace {

constexpr int64_t kTokensPerStep = 2048;
constexpr int64_t kPrefixCacheTokens = 4096;  // what rows' prompts begin with, of all tasks together

/// One task's rows to be answered, and the answers as they come.
struct TaskWork {
  std::string name;
  const data::Task* task = nullptr;
  int64_t adapter_task = 0;
  int64_t max_new_tokens = 0;
  std::vector<MetricSpec> specs;
  std::vector<EvalRow> rows;
  std::vector<std::string> groups;            // a row each
  std::vector<std::vector<int32_t>> prompts;  // a row each; empty where dropped
  std::vector<std::string> answers;           // a row each
  std::vector<Comparison> comparisons;
  data::TaskTokens stats;
};

/// At most `most` (0: all) evenly spaced rows.
std::vector<data::Row> chosen_rows(const std::vector<data::Row>& rows, int64_t most) {
  std::vector<data::Row> chosen;
  for (const int64_t row : data::evenly_spaced(std::ssize(rows), most)) chosen.push_back(rows[row]);
  return chosen;
}

MetricResult result_of(const MetricSpec& spec, std::span<const EvalRow> rows, std::span<const std::string> answers,
                       std::vector<RowScore>* scores = nullptr) {
  const std::unique_ptr<Metric> metric = make_metric(spec.name, spec.options);
  for (size_t i = 0; i < rows.size(); ++i) {
    const RowScore score = metric->add(rows[i], answers[i]);
    if (scores) scores->push_back(score);
  }
  return metric->result();
}

/// Without any list of them an answer could be any of the other rows' gold answers.
bool labels_unknown(const TaskWork& work) {
  const auto without_list = [&](const MetricSpec& spec) {
    return scores_labels(spec.name) && spec.options.labels.empty();
  };
  return std::ranges::any_of(work.specs, without_list) &&
         std::ranges::any_of(work.rows, [](const EvalRow& row) { return row.choices.empty(); });
}

/// The baselines of a task's first metric.
std::vector<Comparison> baselines_of(const TaskWork& work, uint64_t seed) {
  const MetricSpec& spec = work.specs[0];
  const std::vector<EvalRow> train = to_eval_rows(work.task->of(data::Split::kTrain));
  std::vector<Comparison> comparisons;
  for (const std::string& name : baselines_for_metric(spec.name)) {
    const std::vector<std::string> answers = baseline_answers(
        name, train, work.rows, {.seed = seed, .unit = spec.options.unit, .source_prefix = spec.options.source_prefix});
    comparisons.push_back({name, result_of(spec, work.rows, answers).score});
  }
  return comparisons;
}

class Preparation {
 public:
  /// `adapters` may be null.
  Preparation(const nn::ModelConfig& shape, const adapters::AdapterSet* adapters, const data::Dataset& dataset,
              data::Split split, const data::PromptRenderer& renderer, const EvaluateOptions& options)
      : shape_(shape), adapters_(adapters), dataset_(dataset), split_(split), renderer_(renderer), options_(options) {}

  /// Everything that can be wrong is found here.
  std::vector<TaskWork> prepare() const {
    std::vector<TaskWork> work;
    for (const data::Task& task : tasks()) work.push_back(prepare(task));
    return work;
  }

 private:
  std::vector<std::reference_wrapper<const data::Task>> tasks() const {
    std::vector<std::reference_wrapper<const data::Task>> tasks;
    for (const std::string& name : options_.tasks) dataset_.task_index(name);
    for (const data::Task& task : dataset_.tasks) {
      const bool named = std::ranges::find(options_.tasks, task.name) != options_.tasks.end();
      if (named && task.of(split_).empty()) fail_without_rows("task " + task.name);
      if (named || (options_.tasks.empty() && !task.of(split_).empty())) tasks.emplace_back(task);
    }
    if (tasks.empty()) fail_without_rows("evaluation");
    return tasks;
  }

  [[noreturn]] void fail_without_rows(std::string where) const {
    throw Error(ErrorKind::kData, {.where = std::move(where),
                                   .problem = "there are no " + std::string(data::split_name(split_)) + " rows"});
  }

  TaskWork prepare(const data::Task& task) const {
    TaskWork work{.name = task.name, .task = &task};
    if (adapters_ != nullptr) work.adapter_task = adapters_->task_index(task.name);
    work.max_new_tokens = task.settings.max_new_tokens.value_or(options_.eval.max_new_tokens);
    work.specs = metrics_of(task);

    data::Dataset chosen{.config = dataset_.config};
    chosen.tasks.push_back({.name = task.name, .settings = task.settings});
    std::vector<data::Row>& rows = chosen.tasks[0].rows[static_cast<size_t>(split_)];
    rows = chosen_rows(task.of(split_), options_.eval.rows);
    work.rows = to_eval_rows(rows);
    for (const data::Row& row : rows) work.groups.push_back(row.group);
    for (const MetricSpec& spec : work.specs) check_gold(spec, rows);
    if (labels_unknown(work)) {
      throw Error(ErrorKind::kData,
                  {.where = "tasks." + task.name + ".labels",
                   .problem = "the labels of a classification come from its training rows, and there are none",
                   .hint = "give the training rows, or set the task's `labels`"});
    }

    if (options_.baselines && !task.of(data::Split::kTrain).empty())
      work.comparisons = baselines_of(work, options_.seed);

    const data::EncodedRows encoded =
        data::encode_prompts(chosen, split_, renderer_, prompt_limit(task, work.max_new_tokens));
    work.stats = encoded.stats()[0];
    work.prompts.resize(rows.size());
    work.answers.resize(rows.size());
    for (int64_t i = 0; i < encoded.size(); ++i) {
      const std::span<const int32_t> prompt = encoded.prompt(i);
      work.prompts[encoded.row(i)].assign(prompt.begin(), prompt.end());
    }
    return work;
  }

  int64_t prompt_limit(const data::Task& task, int64_t max_new_tokens) const {
    const int64_t context = shape_.max_positions;
    if (max_new_tokens >= context) {
      throw Error(ErrorKind::kLimit, {.where = "task " + task.name,
                                      .problem = "max_new_tokens leave no room for a prompt in the model's context",
                                      .found = std::to_string(max_new_tokens),
                                      .expected = "less than " + std::to_string(context)});
    }
    return std::min(dataset_.config.max_length, context - max_new_tokens);
  }

  const nn::ModelConfig& shape_;
  const adapters::AdapterSet* adapters_;
  const data::Dataset& dataset_;
  data::Split split_;
  const data::PromptRenderer& renderer_;
  const EvaluateOptions& options_;
};

/// Fills the answers, in batches that mix all tasks.
generate::EngineCounts answer(const adapters::Model& model, const data::PromptRenderer& renderer,
                              const EvaluateOptions& options, std::vector<TaskWork>* work) {
  std::vector<std::pair<size_t, size_t>> places;  // by request id: task, row
  std::vector<generate::Request> requests;
  int64_t rows = 0;
  for (size_t task = 0; task < work->size(); ++task) {
    const TaskWork& one = (*work)[task];
    rows += std::ssize(one.rows);
    for (size_t row = 0; row < one.rows.size(); ++row) {
      if (one.prompts[row].empty()) continue;
      requests.push_back({.id = std::ssize(places),
                          .task = one.adapter_task,
                          .prompt = one.prompts[row],
                          .max_new_tokens = one.max_new_tokens});
      places.emplace_back(task, row);
    }
  }
  // The longest first: memory is at its largest at the beginning, and the last ones to run are short.
  std::ranges::stable_sort(requests, std::greater(), [](const generate::Request& one) { return one.prompt.size(); });

  const std::span<const int64_t> stop_ids = renderer.stop_ids();
  generate::Engine engine(model, {.batch_size = options.eval.batch_size,
                                  .tokens_per_step = std::max(kTokensPerStep, options.eval.batch_size),
                                  .prefix_cache_tokens = kPrefixCacheTokens,
                                  .stop_ids = {stop_ids.begin(), stop_ids.end()}});
  int64_t done = rows - std::ssize(requests);
  engine.run_all(std::move(requests), [&](const generate::Completion& completion) {
    const auto [task, row] = places[completion.id];
    const std::string text = renderer.answer_text(completion.tokens);
    (*work)[task].answers[row] = trim(text);
    if (options.on_row) options.on_row(++done, rows);
  });
  return engine.counts();
}

TaskReport report_of(const TaskWork& work, const data::PromptRenderer& renderer, const EvaluateOptions& options) {
  TaskReport report{.task = work.name};
  std::vector<RowScore> scores;
  report.result = result_of(work.specs[0], work.rows, work.answers, &scores);
  for (size_t i = 1; i < work.specs.size(); ++i)
    report.further.push_back(result_of(work.specs[i], work.rows, work.answers));
  for (size_t i = 0; i < work.rows.size(); ++i) {
    RowPrediction& row = report.rows.emplace_back();
    row.id = work.rows[i].id;
    row.group = work.groups[i];
    row.prompt_tokens = std::ssize(work.prompts[i]);
    row.gold = work.rows[i].gold;
    row.prediction = work.answers[i];
    row.score = scores[i];
    if (options.keep_prompts) row.prompt = renderer.tokenizer().decode(work.prompts[i], {.skip_special_tokens = false});
  }
  report.comparisons = work.comparisons;
  return report;
}

}  // namespace

Evaluation evaluate(const adapters::Model& model, const data::Dataset& dataset, data::Split split,
                    const data::PromptRenderer& renderer, const EvaluateOptions& options) {
  std::vector<TaskWork> work =
      Preparation(model.decoder->config(), model.adapters.get(), dataset, split, renderer, options).prepare();
  const auto begin = std::chrono::steady_clock::now();
  const generate::EngineCounts counts = answer(model, renderer, options, &work);
  Evaluation evaluation{
      .prompt_tokens = counts.prompt_tokens, .cached_tokens = counts.cached_tokens, .new_tokens = counts.new_tokens};
  evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  Report& report = evaluation.report;
  report.facts.emplace_back("split", data::split_name(split));
  int64_t cut = 0, dropped = 0;
  for (const TaskWork& one : work) {
    report.tasks.push_back(report_of(one, renderer, options));
    cut += one.stats.cut;
    dropped += one.stats.dropped;
  }
  if (cut > 0) report.facts.emplace_back("prompts cut to fit", std::to_string(cut));
  if (dropped > 0) report.facts.emplace_back("prompts dropped, too long", std::to_string(dropped));
  return evaluation;
}

void check_rows(const nn::ModelConfig& shape, const data::Dataset& dataset, data::Split split,
                const data::PromptRenderer& renderer, const EvaluateOptions& options) {
  Preparation(shape, nullptr, dataset, split, renderer, options).prepare();
}

std::map<std::string, double> task_scores(const Report& report) {
  std::map<std::string, double> scores;
  for (const TaskReport& task : report.tasks) scores[task.task] = task.result.score;
  return scores;
}

}  // namespace moelora::eval
