// What an evaluation found, for people (aligned table, self-contained HTML) and for programs (JSON, JSON Lines of
// predictions). Prompts, gold answers and predictions stand only in the predictions file (mode 0600) and, when asked,
// in the HTML (then 0600 too).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "eval/metric.h"

namespace moelora::eval {

struct RowPrediction {
  std::string id;
  std::string group;          // the row's, where data.group names one
  int64_t prompt_tokens = 0;  // 0 where the prompt was dropped as too long
  std::string gold;
  std::string prediction;
  RowScore score;
  std::optional<std::string> prompt;
};

/// A score of something else on the same rows by the same metric: a baseline, another run.
struct Comparison {
  std::string name;  // "majority", "bayes", "base", "lora", …
  double score = 0;
};

struct TaskReport {
  std::string task;
  MetricResult result;
  std::vector<MetricResult> further;  // the task's other metrics
  std::vector<Comparison> comparisons;
  std::vector<RowPrediction> rows;
};

struct Report {
  std::string title;
  std::string score_name = "score";                        // heading of the scores reported: "moelora"
  std::vector<std::pair<std::string, std::string>> facts;  // shown under the title: base, adapter, split, seed, …
  std::vector<TaskReport> tasks;
};

struct LengthBin {
  int64_t from = 0;  // prompt tokens, inclusive
  int64_t to = 0;    // exclusive
  int64_t rows = 0;
  double mean_score = 0;  // of the rows' own scores
};

/// Rows by prompt length in doubling bins (0-31, 32-63, 64-127, …); empty bins are left out, and so are rows without
/// prompt tokens, whose prompts were dropped as too long.
std::vector<LengthBin> score_by_length(std::span<const RowPrediction> rows);

/// The `most` rows with the lowest scores, worst first; of equal ones malformed ones first, then in row order. Perfect
/// rows are left out.
std::vector<const RowPrediction*> worst_rows(std::span<const RowPrediction> rows, int64_t most);

/// Mean over tasks of the tasks' scores. A report without tasks: 0.
double mean_score(const Report& report);
/// The same of a comparison, where every task has it.
std::optional<double> mean_comparison(const Report& report, std::string_view name);

/// One line a task and one for the mean; the last line ends in a newline.
std::string report_table(const Report& report);

/// No row text: scores, counts, classes, confusion, score by length, ids and scores of the worst rows.
nlohmann::ordered_json report_json(const Report& report);

struct HtmlOptions {
  bool show_text = false;  // prompts (where kept), gold answers and predictions of the worst rows
  int64_t worst_rows = 20;
};

/// One page without scripts or anything loaded from elsewhere; light and dark.
std::string report_html(const Report& report, const HtmlOptions& options = {});

/// One JSON object a line: task, id, prompt_tokens, gold, prediction, score, malformed, off_list, and prompt where it
/// was kept.
std::string predictions_jsonl(const Report& report);

/// Writes table.txt, report.json, report.html and predictions.jsonl as one durable directory (core/durable.h): all or
/// nothing, and `directory` must not exist. predictions.jsonl has mode 0600, and report.html too where it shows text.
/// Throws Error(kIo).
void write_report(const Report& report, const std::filesystem::path& directory, const HtmlOptions& options = {});

}  // namespace moelora::eval
