#include "eval/task_metrics.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace moelora::eval {
namespace {

std::vector<std::string> labels_of(const data::Task& task) {
  if (!task.settings.labels.empty()) return task.settings.labels;
  std::set<std::string> labels;
  for (const data::Row& row : task.of(data::Split::kTrain)) labels.emplace(trim(row.answer));
  return {labels.begin(), labels.end()};
}

}  // namespace

bool scores_labels(const std::string& metric) {
  return metric_facts(metric).answers == AnswerKind::kLabel;
}

EvalRow to_eval_row(const data::Row& row) {
  EvalRow out{.id = row.id, .gold = row.answer, .choices = row.answer_choices};
  if (out.id.empty() && row.file)
    out.id = std::filesystem::path(*row.file).filename().string() + ":" + std::to_string(row.line);
  for (const data::Message& message : row.messages) {
    if (message.role != "system") out.prompt += (out.prompt.empty() ? "" : "\n") + message.content;
  }
  return out;
}

std::vector<EvalRow> to_eval_rows(std::span<const data::Row> rows) {
  std::vector<EvalRow> out;
  for (const data::Row& row : rows) out.push_back(to_eval_row(row));
  return out;
}

std::vector<MetricSpec> metrics_of(const data::Task& task) {
  const std::string where = "tasks." + task.name + ".metric";
  std::vector<MetricSpec> specs =
      parse_metric_specs(task.settings.metric ? *task.settings.metric : default_metric(task.task_type(), where), where);
  for (MetricSpec& spec : specs) {
    if (scores_labels(spec.name)) spec.options.labels = labels_of(task);
  }
  return specs;
}

void check_gold(const MetricSpec& spec, std::span<const data::Row> rows) {
  const std::unique_ptr<Metric> metric = make_metric(spec.name, spec.options);
  for (const data::Row& row : rows) {
    try {
      metric->check(to_eval_row(row));
    } catch (const Error& error) {
      ErrorDetails details = error.details();
      details.where = row.where();
      throw Error(error.kind(), std::move(details));
    }
  }
}

std::vector<Error> scoring_problems(const data::Task& task, data::Split split) {
  if (task.of(split).empty()) return {};
  std::vector<MetricSpec> specs;
  try {
    specs = metrics_of(task);
  } catch (const Error& error) {
    return {error};
  }
  std::vector<Error> problems;
  for (const MetricSpec& spec : specs) {
    try {
      check_gold(spec, task.of(split));
    } catch (const Error& error) {
      problems.push_back(error);
    }
  }
  return problems;
}

}  // namespace moelora::eval
