#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "compare/rate_search.h"
#include "compare/report.h"

namespace moelora::compare {
namespace {

std::string formatted(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string markdown_missing(const Comparison& comparison) {
  std::string out;
  for (const Divergence& run : comparison.diverged) out += "Diverged: " + divergence_text(run) + ".\n\n";
  if (comparison.missing > 0)
    out += "Not finished: " + std::to_string(comparison.missing) + " runs are missing or not tested yet. ";
  if (!out.empty() && !comparison.variants.empty())
    out += "Shown are the methods that have results, on the seeds that all of them have.\n\n";
  return out;
}

/// Tasks are rows, variants columns.
std::string markdown_scores(const Table& table) {
  std::string out = "| task | metric |";
  for (const Table::Row& row : table.rows) out += " " + row.results->variant.name + " |";
  out += "\n|---|---|";
  for (size_t i = 0; i < table.rows.size(); ++i) out += "---|";
  out += "\n";
  for (size_t t = 0; t < table.tasks.size(); ++t) {
    out += "| " + table.tasks[t] + " | " + table.metrics[t] + " |";
    for (const Table::Row& row : table.rows) out += " " + spread_text(row.tasks[t]) + " |";
    out += "\n";
  }
  out += "| **mean** | |";
  for (const Table::Row& row : table.rows) out += " **" + spread_text(row.mean) + "** |";
  return out + "\n";
}

std::string markdown_differences(const Comparison& comparison, const Table& table) {
  std::string out =
      "| method | mean over tasks, less `" + comparison.spec.reference +
      "` | p | p (Holm) | trainable parameters | learning rate | training |\n|---|---|---|---|---|---|---|\n";
  for (const Table::Row& row : table.rows) {
    const VariantResults& results = *row.results;
    out += "| " + results.variant.name + " | ";
    out += row.difference ? difference_text(row.difference->mean) + " | " + formatted("%.4f", row.difference->mean.p) +
                                " | " + formatted("%.4f", row.difference->p_holm)
                          : no_difference_text(table, row) + " | | ";
    out += " | " + std::to_string(results.seeds.front().parameters) + " | " + rate_text(results) + " | " +
           formatted("%.0f s", std::round(row.train_seconds)) + " |\n";
  }
  return out;
}

std::string markdown_grid(const RateSearch& search) {
  if (!has_trials(search)) return "\n" + grid_text(search) + ".\n";
  std::string out = "\n" + grid_text(search) + ".\n\n| method |";
  for (const std::string& rate : search.learning_rates) out += " " + rate + " |";
  out += "\n|---|";
  for (size_t i = 0; i < search.learning_rates.size(); ++i) out += "---|";
  out += "\n";
  for (const VariantResults& results : search.variants) {
    out += "| " + results.variant.name + " |";
    for (const std::string& rate : search.learning_rates) {
      const std::string dev = trial_text(results, rate);
      const bool is_best = rate == results.learning_rate;
      out += is_best ? " **" + dev + "**" + (results.at_edge ? " (edge of the grid) |" : " |") : " " + dev + " |";
    }
    out += "\n";
  }
  return out;
}

std::string markdown_grids(const Comparison& comparison) {
  std::string out = comparison.searches.empty() ? "" : "\n## Learning rates\n";
  for (const RateSearch& search : comparison.searches) out += markdown_grid(search);
  return out;
}

/// Mean of the training losses of steps (after, step]; NaN without any.
double training_loss(const Result& result, int64_t after, int64_t step) {
  double sum = 0;
  int64_t count = 0;
  for (const CurvePoint& point : result.train_curve) {
    if (point.step <= after || point.step > step) continue;
    sum += point.loss;
    ++count;
  }
  return sum / static_cast<double>(count);
}

/// Losses of the first seed, variants beside each other, at no more than kCurveLines steps.
std::string markdown_curves(const Table& table) {
  constexpr size_t kCurveLines = 12;
  std::set<int64_t> evaluated;
  for (const Table::Row& row : table.rows) {
    for (const CurvePoint& point : row.results->seeds.front().dev_curve) evaluated.insert(point.step);
  }
  if (evaluated.empty()) return "";
  const std::vector<int64_t> all(evaluated.begin(), evaluated.end());
  const size_t lines = std::min(all.size(), kCurveLines);
  std::string out =
      "\n## Losses\n\nOn the dev rows, in brackets in training (mean since the line before); the first seed.\n\n| step "
      "|";
  for (const Table::Row& row : table.rows) out += " " + row.results->variant.name + " |";
  out += "\n|---|";
  for (size_t i = 0; i < table.rows.size(); ++i) out += "---|";
  out += "\n";
  int64_t before = 0;
  for (size_t line = 0; line < lines; ++line) {
    const int64_t step = all[(line + 1) * all.size() / lines - 1];
    out += "| " + std::to_string(step) + " |";
    for (const Table::Row& row : table.rows) {
      const Result& result = row.results->seeds.front();
      const auto dev = std::ranges::find(result.dev_curve, step, &CurvePoint::step);
      out += dev == result.dev_curve.end() ? " " : " " + formatted("%.4f", dev->loss);
      const double training = training_loss(result, before, step);
      out += std::isnan(training) ? " |" : " (" + formatted("%.4f", training) + ") |";
    }
    out += "\n";
    before = step;
  }
  return out;
}

}  // namespace

std::string comparison_markdown(const Comparison& comparison, const Table& table) {
  std::string seeds;
  for (const uint64_t seed : comparison.spec.seeds) seeds += (seeds.empty() ? "" : ", ") + std::to_string(seed);
  std::string out = "# Comparison\n\n";
  if (table.rows.empty()) {
    out += markdown_missing(comparison);
  } else {
    out += "Scores on the test rows, mean ± standard deviation over the seeds (" + seeds + ").\n\n" +
           markdown_missing(comparison) + markdown_scores(table) + "\n## Against `" + comparison.spec.reference +
           "`\n\nHierarchical bootstrap (seed, then group of rows), " + std::to_string(comparison.spec.resamples) +
           " resamples, 95 % interval, Holm's correction over the methods. ";
    if (comparison.spec.seeds.size() < 5) out += "Fewer than five seeds: the intervals are too narrow. ";
    out +=
        "Methods that are made of single tasks' LoRAs share those runs; their time is that of the first that made "
        "them.\n\n" +
        markdown_differences(comparison, table) + markdown_curves(table);
  }
  return out + markdown_grids(comparison) + "\nData `" + comparison.surroundings.run.data + "`, base `" +
         comparison.surroundings.run.base + "`, code `" + comparison.surroundings.code + "`.\n";
}

}  // namespace moelora::compare
