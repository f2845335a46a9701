#include "eval/report.h"

namespace moelora::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kWorstRows = 20;

Json result_json(const MetricResult& result) {
  Json out = {{"metric", result.metric},       {"score", result.score},
              {"precision", result.precision}, {"recall", result.recall},
              {"rows", result.rows},           {"malformed", result.malformed},
              {"off_list", result.off_list},   {"gold_unreadable", result.gold_unreadable},
              {"right", result.right},         {"wrong", result.wrong},
              {"missed", result.missed}};
  if (result.classes.empty()) return out;
  for (const ClassScore& one : result.classes) {
    out["classes"].push_back({{"label", one.label},
                              {"precision", one.precision},
                              {"recall", one.recall},
                              {"f1", one.f1},
                              {"support", one.support},
                              {"predicted", one.predicted}});
  }
  out["confusion"] = {{"columns", result.confusion_columns}, {"rows", result.confusion}};
  return out;
}

Json task_json(const TaskReport& task) {
  Json out = {{"task", task.task}};
  out.update(result_json(task.result));
  out["further"] = Json::array();
  for (const MetricResult& result : task.further) out["further"].push_back(result_json(result));
  out["comparisons"] = Json::object();
  for (const Comparison& comparison : task.comparisons) out["comparisons"][comparison.name] = comparison.score;
  out["by_prompt_tokens"] = Json::array();
  for (const LengthBin& bin : score_by_length(task.rows)) {
    out["by_prompt_tokens"].push_back(
        {{"from", bin.from}, {"to", bin.to}, {"rows", bin.rows}, {"mean_row_score", bin.mean_score}});
  }
  out["worst_rows"] = Json::array();
  for (const RowPrediction* row : worst_rows(task.rows, kWorstRows)) {
    out["worst_rows"].push_back({{"id", row->id},
                                 {"score", row->score.score},
                                 {"malformed", row->score.malformed},
                                 {"off_list", row->score.off_list},
                                 {"prompt_tokens", row->prompt_tokens}});
  }
  return out;
}

}  // namespace

Json report_json(const Report& report) {
  Json out = {{"title", report.title}, {"score_name", report.score_name}};
  out["facts"] = Json::object();
  for (const auto& [name, value] : report.facts) out["facts"][name] = value;
  out["mean_score"] = mean_score(report);
  out["mean_comparisons"] = Json::object();
  if (!report.tasks.empty()) {
    for (const Comparison& comparison : report.tasks.front().comparisons) {
      if (const auto mean = mean_comparison(report, comparison.name)) out["mean_comparisons"][comparison.name] = *mean;
    }
  }
  out["tasks"] = Json::array();
  for (const TaskReport& task : report.tasks) out["tasks"].push_back(task_json(task));
  return out;
}

std::string predictions_jsonl(const Report& report) {
  std::string lines;
  for (const TaskReport& task : report.tasks) {
    for (const RowPrediction& row : task.rows) {
      Json line = {{"task", task.task},
                   {"id", row.id},
                   {"prompt_tokens", row.prompt_tokens},
                   {"gold", row.gold},
                   {"prediction", row.prediction},
                   {"score", row.score.score},
                   {"malformed", row.score.malformed},
                   {"off_list", row.score.off_list}};
      if (row.prompt) line["prompt"] = *row.prompt;
      lines += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      lines += '\n';
    }
  }
  return lines;
}

}  // namespace moelora::eval
