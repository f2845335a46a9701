// A task's rows as metrics see them, and which metrics score it: found, checked against its gold answers, before
// anything is trained or generated.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/dataset.h"
#include "eval/metric.h"

namespace moelora::eval {

/// Accuracy and macro F1: an answer is one label of a list. Throws Error (kConfig) for an unknown metric.
bool scores_labels(const std::string& metric);

EvalRow to_eval_row(const data::Row& row);
std::vector<EvalRow> to_eval_rows(std::span<const data::Row> rows);

/// tasks.<t>.metric, else that of its rows' task_type. Accuracy and macro F1 get the task's labels: tasks.<t>.labels,
/// else the distinct answers of its training rows, which may be none. Throws Error (kConfig).
std::vector<MetricSpec> metrics_of(const data::Task& task);

/// Throws Error (kData) naming the first of `rows` (file and line) whose gold answer the metric can't read.
void check_gold(const MetricSpec& spec, std::span<const data::Row> rows);

/// What keeps a task's rows of `split` from being scored: the metric's mistake, or none known, or for each metric the
/// first gold answer that it can't read. Empty where there are no such rows.
std::vector<Error> scoring_problems(const data::Task& task, data::Split split);

}  // namespace moelora::eval
