// Answers that need no language model, printed beside every score: a model that doesn't beat them has learned nothing.
//
// majority    the most frequent gold answer of the training rows (ties: the first in byte order), whatever the prompt
// random      one of the row's choices, uniformly; for rows without choices the gold answer of a random training row
// copy        the source text of the row's prompt (BaselineOptions::source_prefix); without one, the prompt's longest
//             line (of equal ones the first)
// bayes       multinomial naive Bayes over the words of the prompt (Laplace smoothing 1, words unseen in training
// ignored), the
//             classes being the distinct gold answers of the training rows; where some of them are among a row's
//             choices, only those compete. For tasks whose answers are labels.
//
// What is returned are answer texts, one per test row, to be scored by the task's Metric like any model's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/metric.h"

namespace moelora::eval {

struct BaselineOptions {
  uint64_t seed = 42;               // of random
  TextUnit unit = TextUnit::kAuto;  // of the prompt's words for bayes; kAuto: decided by each prompt
  std::string source_prefix;        // as MetricOptions::source_prefix, for copy
};

/// "majority", "random", "copy", "bayes".
const std::vector<std::string>& baseline_names();

/// The baselines that mean something for a metric: bayes only where answers are labels, copy only where they are text.
/// Throws Error(kConfig) for an unknown metric.
std::vector<std::string> baselines_for_metric(std::string_view metric);

/// Throws Error(kConfig) for an unknown name and Error(kData) where `train` is empty and the baseline needs it.
std::vector<std::string> baseline_answers(std::string_view name, std::span<const EvalRow> train,
                                          std::span<const EvalRow> test, const BaselineOptions& options = {});

}  // namespace moelora::eval
