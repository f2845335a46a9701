#include <algorithm>
#include <cstdio>

#include "eval/report.h"
#include "eval/report_text.h"
#include "eval/segment.h"

namespace moelora::eval {

std::string three_decimals(double score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", score);
  return text;
}

std::vector<std::string> comparison_names(const Report& report) {
  std::vector<std::string> names;
  for (const TaskReport& task : report.tasks) {
    for (const Comparison& comparison : task.comparisons) {
      if (std::find(names.begin(), names.end(), comparison.name) == names.end()) names.push_back(comparison.name);
    }
  }
  return names;
}

std::optional<double> comparison_of(const TaskReport& task, std::string_view name) {
  for (const Comparison& comparison : task.comparisons) {
    if (comparison.name == name) return comparison.score;
  }
  return std::nullopt;
}

namespace {

using Cells = std::vector<std::string>;

std::string lay_out(const std::vector<Cells>& rows, size_t left_aligned) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const Cells& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string out;
  for (const Cells& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - display_width(row[i]), ' ');
      if (i > 0) line += "  ";
      line += i < left_aligned ? row[i] + gap : gap + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace

std::string report_table(const Report& report) {
  const std::vector<std::string> names = comparison_names(report);
  std::vector<Cells> rows = {{"task", "metric"}};
  rows[0].insert(rows[0].end(), names.begin(), names.end());
  for (const std::string& heading : {report.score_name, std::string("P"), std::string("R"), std::string("rows"),
                                     std::string("malformed"), std::string("off-list")}) {
    rows[0].push_back(heading);
  }
  const auto cell = [](std::optional<double> score) { return score ? three_decimals(*score) : std::string("-"); };
  for (const TaskReport& task : report.tasks) {
    const MetricResult& result = task.result;
    Cells row = {task.task, result.metric};
    for (const std::string& name : names) row.push_back(cell(comparison_of(task, name)));
    for (const double value : {result.score, result.precision, result.recall}) row.push_back(three_decimals(value));
    for (const int64_t count : {result.rows, result.malformed, result.off_list}) row.push_back(std::to_string(count));
    rows.push_back(std::move(row));
    for (const MetricResult& further : task.further) {
      Cells more = {"", further.metric};
      more.resize(2 + names.size());
      for (const double value : {further.score, further.precision, further.recall})
        more.push_back(three_decimals(value));
      more.insert(more.end(), {"", std::to_string(further.malformed), std::to_string(further.off_list)});
      rows.push_back(std::move(more));
    }
  }
  Cells mean = {"mean", ""};
  for (const std::string& name : names) mean.push_back(cell(mean_comparison(report, name)));
  mean.push_back(three_decimals(mean_score(report)));
  mean.resize(rows[0].size());
  rows.push_back(std::move(mean));
  return lay_out(rows, 2);
}

}  // namespace moelora::eval
