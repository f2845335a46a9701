// The metric implementations behind make_metric (metric.h). Private to this folder.
#pragma once

#include <memory>
#include <string>

#include "eval/metric.h"

namespace moelora::eval {

std::unique_ptr<Metric> make_item_f1(std::string name, AnswerKind kind, MetricOptions options);

enum class LabelScore { kAccuracy, kMacroF1 };
std::unique_ptr<Metric> make_label_metric(std::string name, LabelScore score, MetricOptions options);

std::unique_ptr<Metric> make_rouge_l(std::string name, MetricOptions options);
std::unique_ptr<Metric> make_exact_match(std::string name, MetricOptions options);
std::unique_ptr<Metric> make_changed_words_f1(std::string name, MetricOptions options);

/// Precision, recall and F1 from counts. Nothing expected and nothing given: 1.
struct Ratios {
  double precision;
  double recall;
  double f1;
};
Ratios ratios(int64_t right, int64_t wrong, int64_t missed);

/// Where a row's error is reported: "row <id>".
std::string row_place(const EvalRow& row);

/// Length of the longest common subsequence.
int64_t common_subsequence(const std::vector<std::string>& a, const std::vector<std::string>& b);

}  // namespace moelora::eval
