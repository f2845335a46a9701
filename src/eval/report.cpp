#include "eval/report.h"

#include <algorithm>
#include <map>

#include "core/durable.h"
#include "eval/report_text.h"

namespace moelora::eval {

std::vector<LengthBin> score_by_length(std::span<const RowPrediction> rows) {
  constexpr int64_t kFirstEnd = 32;
  std::map<int64_t, LengthBin> bins;  // by their end
  for (const RowPrediction& row : rows) {
    if (row.prompt_tokens == 0) continue;
    int64_t end = kFirstEnd;
    while (end <= row.prompt_tokens) end *= 2;
    LengthBin& bin = bins[end];
    bin.from = end == kFirstEnd ? 0 : end / 2;
    bin.to = end;
    bin.rows += 1;
    bin.mean_score += row.score.score;
  }
  std::vector<LengthBin> filled;
  for (auto& [end, bin] : bins) {
    bin.mean_score /= static_cast<double>(bin.rows);
    filled.push_back(bin);
  }
  return filled;
}

std::vector<const RowPrediction*> worst_rows(std::span<const RowPrediction> rows, int64_t most) {
  std::vector<const RowPrediction*> worst;
  for (const RowPrediction& row : rows) {
    if (row.score.score < 1) worst.push_back(&row);
  }
  std::stable_sort(worst.begin(), worst.end(), [](const RowPrediction* a, const RowPrediction* b) {
    if (a->score.score != b->score.score) return a->score.score < b->score.score;
    return a->score.malformed > b->score.malformed;
  });
  if (static_cast<int64_t>(worst.size()) > most) worst.resize(static_cast<size_t>(most));
  return worst;
}

double mean_score(const Report& report) {
  if (report.tasks.empty()) return 0;
  double sum = 0;
  for (const TaskReport& task : report.tasks) sum += task.result.score;
  return sum / static_cast<double>(report.tasks.size());
}

std::optional<double> mean_comparison(const Report& report, std::string_view name) {
  if (report.tasks.empty()) return std::nullopt;
  double sum = 0;
  for (const TaskReport& task : report.tasks) {
    const std::optional<double> score = comparison_of(task, name);
    if (!score) return std::nullopt;
    sum += *score;
  }
  return sum / static_cast<double>(report.tasks.size());
}

void write_report(const Report& report, const std::filesystem::path& directory, const HtmlOptions& options) {
  DirectoryWriter writer(directory);
  writer.add_file("table.txt", report_table(report));
  writer.add_file("report.json",
                  report_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  writer.add_file("report.html", report_html(report, options), options.show_text ? 0600 : 0644);
  writer.add_file("predictions.jsonl", predictions_jsonl(report), 0600);
  writer.commit();
}

}  // namespace moelora::eval
