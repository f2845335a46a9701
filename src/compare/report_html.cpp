#include <cmath>
#include <cstdio>
#include <functional>
#include <map>

#include "compare/gate_picture.h"
#include "compare/plots.h"
#include "compare/rate_search.h"
#include "compare/report.h"
#include "eval/html_text.h"

namespace moelora::compare {
namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Comparison</title>
<style>
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6778;--line:#d9dee6;--page:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa5b5;--line:#39424f;--page:#12161c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-top:1px solid var(--line);padding-top:1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.86rem}td,th{padding:.15rem .6rem;text-align:right}
th{font-weight:600;color:var(--soft);border-bottom:1px solid var(--line)}td:first-child,th:first-child{text-align:left}
.wide{overflow-x:auto}.soft{color:var(--soft)}svg{max-width:100%;height:auto}
.small{display:grid;grid-template-columns:repeat(auto-fill,minmax(18rem,1fr));gap:.8rem}figure{margin:0}
.legend span{margin-right:1rem;white-space:nowrap}.legend svg{vertical-align:-1px;margin-right:.3rem}.best{font-weight:600}
</style></head><body>
)";

std::string cell(const std::string& text) {
  return "<td>" + eval::html_escaped(text) + "</td>";
}

std::string p_text(double p) {
  char text[24];
  std::snprintf(text, sizeof text, "%.4f", p);
  return text;
}

std::string score_table(const Table& table) {
  std::string out = "<div class=\"wide\"><table><tr><th>method";
  for (const std::string& task : table.tasks) out += "<th>" + eval::html_escaped(task);
  out += "<th>mean</tr>\n<tr class=\"soft\"><td></td>";
  for (const std::string& metric : table.metrics) out += cell(metric);
  out += "<td></td></tr>\n";
  for (const Table::Row& row : table.rows) {
    out += "<tr>" + cell(row.results->variant.name);
    for (const Spread& task : row.tasks) out += cell(spread_text(task));
    out += "<td><b>" + spread_text(row.mean) + "</b></td></tr>\n";
  }
  return out + "</table></div>\n";
}

std::string difference_table(const Table& table) {
  std::string out =
      "<div class=\"wide\"><table><tr><th>method<th>mean over tasks<th>p<th>p (Holm)<th>trainable "
      "parameters<th>learning "
      "rate<th>training</tr>\n";
  for (const Table::Row& row : table.rows) {
    out += "<tr>" + cell(row.results->variant.name);
    out += row.difference ? cell(difference_text(row.difference->mean)) + cell(p_text(row.difference->mean.p)) +
                                cell(p_text(row.difference->p_holm))
                          : cell(no_difference_text(table, row)) + cell("") + cell("");
    out += cell(std::to_string(row.results->seeds.front().parameters)) + cell(rate_text(*row.results)) +
           cell(std::to_string(std::llround(row.train_seconds)) + " s") + "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string grid_table(const RateSearch& search) {
  if (!has_trials(search)) return "<p class=\"soft\">" + eval::html_escaped(grid_text(search)) + "</p>\n";
  std::string out =
      "<p class=\"soft\">" + eval::html_escaped(grid_text(search)) + "</p>\n<div class=\"wide\"><table><tr><th>method";
  for (const std::string& rate : search.learning_rates) out += "<th>" + eval::html_escaped(rate);
  out += "<th></tr>\n";
  for (const VariantResults& results : search.variants) {
    out += "<tr>" + cell(results.variant.name);
    for (const std::string& rate : search.learning_rates) {
      out += (rate == results.learning_rate ? "<td class=\"best\">" : "<td>") +
             eval::html_escaped(trial_text(results, rate)) + "</td>";
    }
    out += cell(results.at_edge ? "edge of the grid" : "") + "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string grid_tables(const Comparison& comparison) {
  std::string out = comparison.searches.empty() ? "" : "<h2>Learning rates</h2>\n";
  for (const RateSearch& search : comparison.searches) out += grid_table(search);
  return out;
}

/// What isn't in the tables, and why.
std::string gaps(const Comparison& comparison) {
  std::string out;
  for (const Divergence& run : comparison.diverged)
    out += "<p>Diverged: " + eval::html_escaped(divergence_text(run)) + "</p>\n";
  return out;
}

/// Mean over the seeds at each step that all of them have. `curve` takes a Result.
template <typename Curve>
Series mean_curve(const VariantResults& results, const Curve& curve) {
  std::map<int64_t, std::pair<double, size_t>> sums;
  for (const Result& result : results.seeds) {
    for (const CurvePoint& point : std::invoke(curve, result)) {
      sums[point.step].first += point.loss;
      ++sums[point.step].second;
    }
  }
  Series series{.name = results.variant.name, .points = {}};
  for (const auto& [step, sum] : sums) {
    if (sum.second == results.seeds.size())
      series.points.emplace_back(static_cast<double>(step), sum.first / static_cast<double>(sum.second));
  }
  return series;
}

std::string curves(const Table& table) {
  std::vector<Series> dev, train;
  for (const Table::Row& row : table.rows) {
    dev.push_back(mean_curve(*row.results, &Result::dev_curve));
    train.push_back(mean_curve(*row.results, &Result::train_curve));
  }
  return line_plot(train, "optimizer step", "training loss") + line_plot(dev, "optimizer step", "loss on dev rows");
}

/// One picture a task, each with a scale of its own.
std::string task_curves(const Table& table) {
  std::string out;
  for (const std::string& task : table.tasks) {
    std::vector<Series> series;
    for (const Table::Row& row : table.rows) {
      series.push_back(mean_curve(*row.results, [&](const Result& result) {
        const auto curve = result.task_dev_curves.find(task);
        return curve == result.task_dev_curves.end() ? std::vector<CurvePoint>() : curve->second;
      }));
    }
    const std::string plot = line_plot(series, "optimizer step", "loss", PlotSize::kSmall);
    if (!plot.empty())
      out += "<figure><figcaption>" + eval::html_escaped(task) + "</figcaption>" + plot + "</figure>\n";
  }
  return out.empty() ? out : "<h2>Losses on dev rows by task</h2>\n<div class=\"small\">\n" + out + "</div>\n";
}

std::string bars(const Table& table, const std::vector<std::string>& names) {
  std::vector<std::string> groups = table.tasks;
  groups.emplace_back("mean");
  std::vector<std::vector<Bar>> all(groups.size());
  for (const Table::Row& row : table.rows) {
    for (size_t t = 0; t < row.tasks.size(); ++t) all[t].push_back({row.tasks[t].mean, row.tasks[t].deviation});
    all.back().push_back({row.mean.mean, row.mean.deviation});
  }
  return bar_plot(groups, names, all);
}

/// Tasks by experts, a map for each gate, of the first seed of each variant whose gate sees the task.
std::string gates(const Table& table) {
  std::string out;
  for (const Table::Row& row : table.rows) {
    const Result& result = row.results->seeds.front();
    if (result.gates.empty()) continue;
    out += "<details" + std::string(out.empty() ? " open" : "") + "><summary>" +
           eval::html_escaped(row.results->variant.name) + ", seed " + std::to_string(result.seed) + "</summary>\n" +
           gate_svg(result.gate_tasks, result.gates) + "</details>\n";
  }
  return out.empty() ? out : "<h2>Gates: weight of each expert for each task</h2>\n" + out;
}

}  // namespace

std::string comparison_html(const Comparison& comparison, const Table& table) {
  std::vector<std::string> names;
  for (const Table::Row& row : table.rows) names.push_back(row.results->variant.name);
  std::string out = std::string(kHead) + "<h1>Comparison</h1>\n";
  if (comparison.missing > 0) {
    out += "<p class=\"soft\">Not finished: " + std::to_string(comparison.missing) +
           " runs are missing or not tested yet</p>\n";
  }
  out += gaps(comparison);
  if (!table.rows.empty()) {
    out += "<p class=\"soft\">" + std::to_string(comparison.spec.seeds.size()) +
           " seeds; mean ± standard deviation on the test rows</p>\n" + score_table(table) + "<h2>By task</h2>\n" +
           legend(names) + bars(table, names) + "<h2>Against " + eval::html_escaped(comparison.spec.reference) +
           "</h2>\n<p class=\"soft\">Hierarchical bootstrap (seed, then group of rows), 95 % interval, Holm's "
           "correction</p>\n" +
           difference_table(table) + "<h2>Losses</h2>\n" + legend(names) + curves(table) + task_curves(table) +
           gates(table);
  }
  return out + grid_tables(comparison) + "</body></html>\n";
}

}  // namespace moelora::compare
