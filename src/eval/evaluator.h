// A model's scores on a split: prompts, greedy answers in batches that mix all tasks, the tasks' metrics, a Report.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/dataset.h"
#include "data/prompt.h"
#include "eval/report.h"
#include "nn/model_config.h"

namespace moelora::adapters {
struct Model;
}

namespace moelora::eval {

struct EvaluateOptions {
  config::EvalConfig eval;         // rows, max_new_tokens, batch_size
  std::vector<std::string> tasks;  // only these; empty: all
  bool keep_prompts = false;       // RowPrediction::prompt, as the template renders it
  bool baselines = false;          // add those of baselines_for_metric as comparisons, where the task has training rows
  uint64_t seed = 42;              // of the random baseline
  std::function<void(int64_t done, int64_t rows)> on_row;  // after each finished row
};

struct Evaluation {
  Report report;  // tasks and two facts (split, prompts cut or dropped where any were); title and the other facts are
                  // the caller's
  double seconds = 0;         // of generating
  int64_t prompt_tokens = 0;  // read
  int64_t cached_tokens = 0;  // of prompts, not read again
  int64_t new_tokens = 0;     // written, end tokens included
};

/// Generates for every row of `split` (of eval.rows evenly spaced ones a task) and scores it.
///
/// A task's metric is tasks.<t>.metric, else that of its rows' task_type; its labels are tasks.<t>.labels, else, for
/// accuracy and macro F1, the distinct answers of its training rows, which `dataset` must then hold unless every row
/// has its choices. Prompts have at most data.max_length tokens, and leave room for max_new_tokens in the model's
/// context; longer ones follow the task's overflow rule, and a dropped row counts as answered with nothing: malformed,
/// wrong.
///
/// Everything is checked before the first forward. Throws Error (kUsage) for a task that isn't in the data set or not
/// in the model's adapters, Error (kConfig) for a metric or none known, Error (kData) for a gold answer that the metric
/// can't read, for a task without rows in the split and for prompts that are too long, Error (kLimit) where
/// max_new_tokens leave no room for prompts, and Error (kInterrupted) on a signal.
Evaluation evaluate(const adapters::Model& model, const data::Dataset& dataset, data::Split split,
                    const data::PromptRenderer& renderer, const EvaluateOptions& options);

/// Throws what evaluate would of these rows, and so before there is a model with its adapters; the one thing that it
/// can't see is a task that those don't know.
void check_rows(const nn::ModelConfig& shape, const data::Dataset& dataset, data::Split split,
                const data::PromptRenderer& renderer, const EvaluateOptions& options);

/// The score of each task: what a trainer compares checkpoints by.
std::map<std::string, double> task_scores(const Report& report);

}  // namespace moelora::eval
