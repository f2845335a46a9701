#include <algorithm>

#include "eval/html_text.h"
#include "eval/report.h"
#include "eval/report_text.h"
#include "eval/segment.h"

namespace moelora::eval {
namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6778;--line:#d9dee6;--page:#fff;--ours:#1f6feb;--other:#aab4c2;--bad:#c4391d}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa5b5;--line:#39424f;--page:#12161c;--ours:#58a6ff;--other:#566173;--bad:#ff7b61}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.3rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-top:1px solid var(--line);padding-top:1rem}
h3{font-size:.95rem;margin:1.2rem 0 .3rem;color:var(--soft)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.88rem}td,th{padding:.15rem .6rem;text-align:right}
th{font-weight:600;color:var(--soft);border-bottom:1px solid var(--line)}td:first-child,th:first-child,.l{text-align:left}
.wide{overflow-x:auto}.bar{display:grid;grid-template-columns:9rem 1fr 3.5rem;gap:.6rem;align-items:center;margin:.15rem 0;font-size:.88rem}
.track{background:color-mix(in srgb,var(--other) 25%,transparent);border-radius:3px;height:.8rem}
.fill{background:var(--other);height:100%;border-radius:3px}.ours .fill{background:var(--ours)}.ours{font-weight:600}
.soft{color:var(--soft)}.bad{color:var(--bad)}pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0;font-size:.85rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;font-size:.88rem}dt{color:var(--soft)}dd{margin:0}
.cm td.n{min-width:2rem}</style>
)";

std::string cell(std::string_view text) {
  return "<td>" + html_escaped(text) + "</td>";
}

// `share` in [0, 1].
std::string bar(std::string_view name, double share, std::string_view figure, std::string_view css_class) {
  return "<div class=\"bar " + std::string(css_class) + "\"><span>" + html_escaped(name) +
         "</span><div class=\"track\"><div class=\"fill\" style=\"width:" +
         three_decimals(100 * std::clamp(share, 0.0, 1.0)) + "%\"></div></div><span>" + html_escaped(figure) +
         "</span></div>\n";
}

std::string classes_table(const MetricResult& result) {
  std::string out =
      "<h3>Classes</h3><div "
      "class=\"wide\"><table><tr><th>label<th>precision<th>recall<th>F1<th>gold<th>answered</tr>\n";
  for (const ClassScore& one : result.classes) {
    out += "<tr>" + cell(one.label) + cell(three_decimals(one.precision)) + cell(three_decimals(one.recall)) +
           cell(three_decimals(one.f1)) + cell(std::to_string(one.support)) + cell(std::to_string(one.predicted)) +
           "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string confusion_table(const MetricResult& result) {
  std::string out =
      "<h3>Confusion: gold (rows) by answer (columns), shaded by share of the row</h3><div class=\"wide\"><table "
      "class=\"cm\"><tr><th>";
  for (const std::string& column : result.confusion_columns) out += "<th>" + html_escaped(column);
  out += "</tr>\n";
  for (size_t i = 0; i < result.confusion.size(); ++i) {
    out += "<tr>" + cell(result.confusion_columns[i]);
    for (size_t j = 0; j < result.confusion[i].size(); ++j) {
      const int64_t rows = result.confusion[i][j];
      const double share =
          static_cast<double>(rows) / static_cast<double>(std::max<int64_t>(1, result.classes[i].support));
      out += "<td class=\"n\" style=\"background:color-mix(in srgb,var(" + std::string(i == j ? "--ours" : "--bad") +
             ") " + three_decimals(70 * share) + "%,transparent)\">" + (rows == 0 ? "" : std::to_string(rows)) +
             "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string length_bars(const TaskReport& task) {
  const std::vector<LengthBin> bins = score_by_length(task.rows);
  if (bins.empty()) return "";
  std::string out = "<h3>Mean row score by prompt length (tokens)</h3>\n";
  for (const LengthBin& bin : bins) {
    out += bar(std::to_string(bin.from) + "–" + std::to_string(bin.to - 1) + " (" + std::to_string(bin.rows) + " rows)",
               bin.mean_score, three_decimals(bin.mean_score), "");
  }
  return out;
}

std::string worst_table(const TaskReport& task, const HtmlOptions& options) {
  const auto rows = worst_rows(task.rows, options.worst_rows);
  if (rows.empty()) return "";
  std::string out = "<h3>Worst rows</h3>";
  if (!options.show_text) out += "<p class=\"soft\">Their text is in predictions.jsonl.</p>";
  out += "<div class=\"wide\"><table><tr><th>row<th>score<th>prompt tokens<th class=\"l\">note";
  if (options.show_text) out += "<th class=\"l\">text";
  out += "</tr>\n";
  for (const RowPrediction* row : rows) {
    std::string note;
    if (row->score.malformed) note += "malformed ";
    if (row->score.off_list) note += "off-list";
    out += "<tr>" + cell(row->id) + cell(three_decimals(row->score.score)) + cell(std::to_string(row->prompt_tokens)) +
           "<td class=\"l bad\">" + note + "</td>";
    if (options.show_text) {
      out += "<td class=\"l\"><details><summary>show</summary><dl>";
      if (row->prompt) out += "<dt>prompt</dt><dd><pre>" + html_escaped(*row->prompt) + "</pre></dd>";
      out += "<dt>gold</dt><dd><pre>" + html_escaped(row->gold) + "</pre></dd><dt>answer</dt><dd><pre>" +
             html_escaped(row->prediction) + "</pre></dd></dl></details></td>";
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string task_section(const Report& report, const TaskReport& task, const HtmlOptions& options) {
  const MetricResult& result = task.result;
  std::string out =
      "<h2>" + html_escaped(task.task) + " <span class=\"soft\">" + html_escaped(result.metric) + "</span></h2>\n";
  for (const Comparison& comparison : task.comparisons) {
    out += bar(comparison.name, comparison.score, three_decimals(comparison.score), "");
  }
  out += bar(report.score_name, result.score, three_decimals(result.score), "ours");
  out += "<p class=\"soft\">precision " + three_decimals(result.precision) + ", recall " +
         three_decimals(result.recall) + ", " + std::to_string(result.rows) + " rows, " +
         std::to_string(result.malformed) + " malformed, " + std::to_string(result.off_list) + " off-list";
  if (result.gold_unreadable > 0)
    out += ", " + std::to_string(result.gold_unreadable) + " unreadable parts of gold answers left out";
  for (const MetricResult& further : task.further)
    out += "; " + html_escaped(further.metric) + " " + three_decimals(further.score);
  out += "</p>\n";
  if (!result.classes.empty()) out += classes_table(result) + confusion_table(result);
  return out + length_bars(task) + worst_table(task, options);
}

std::string overview(const Report& report) {
  std::string out = "<div class=\"wide\"><table><tr><th>task<th class=\"l\">metric";
  const std::vector<std::string> names = comparison_names(report);
  for (const std::string& name : names) out += "<th>" + html_escaped(name);
  out += "<th>" + html_escaped(report.score_name) + "</tr>\n";
  const auto score_cell = [](std::optional<double> score) { return cell(score ? three_decimals(*score) : "-"); };
  for (const TaskReport& task : report.tasks) {
    out += "<tr>" + cell(task.task) + "<td class=\"l\">" + html_escaped(task.result.metric) + "</td>";
    for (const std::string& name : names) out += score_cell(comparison_of(task, name));
    out += "<td><b>" + three_decimals(task.result.score) + "</b></td></tr>\n";
  }
  out += "<tr><td>mean</td><td></td>";
  for (const std::string& name : names) out += score_cell(mean_comparison(report, name));
  return out + "<td><b>" + three_decimals(mean_score(report)) + "</b></td></tr></table></div>\n";
}

}  // namespace

std::string report_html(const Report& report, const HtmlOptions& options) {
  std::string out(kHead);
  out +=
      "<title>" + html_escaped(report.title) + "</title></head><body>\n<h1>" + html_escaped(report.title) + "</h1>\n";
  if (!report.facts.empty()) {
    out += "<dl>";
    for (const auto& [name, value] : report.facts)
      out += "<dt>" + html_escaped(name) + "</dt><dd>" + html_escaped(value) + "</dd>";
    out += "</dl>\n";
  }
  out += overview(report);
  for (const TaskReport& task : report.tasks) out += task_section(report, task, options);
  return out + "</body></html>\n";
}

}  // namespace moelora::eval
