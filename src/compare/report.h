// A comparison for people and programs: Markdown, JSON and one self-contained HTML page with its pictures.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "compare/comparison.h"
#include "compare/significance.h"

namespace moelora::compare {

/// What all three forms show.
struct Table {
  std::vector<std::string> tasks, metrics;  // [tasks]
  struct Row {
    const VariantResults* results = nullptr;
    std::vector<Spread> tasks;  // [tasks], over the seeds
    Spread mean;                // of the mean over tasks
    std::optional<Difference> difference;
    double train_seconds = 0;  // mean over the seeds
  };
  std::vector<Row> rows;
};

/// Without rows where there is nothing but a grid of learning rates. `comparison` must outlive it.
Table make_table(const Comparison& comparison);

std::string comparison_markdown(const Comparison& comparison, const Table& table);
nlohmann::ordered_json comparison_json(const Comparison& comparison, const Table& table);
/// Loss curves, bars for each task, and the gates of every variant that has some; nothing is loaded from elsewhere, no
/// scripts.
std::string comparison_html(const Comparison& comparison, const Table& table);

/// Writes report.md, report.json and report.html into `dir`, replacing older ones, and returns the Markdown.
std::string write_comparison(const Comparison& comparison, const std::filesystem::path& dir);

/// "0.412 ± 0.013"; without deviation where there is one seed.
std::string spread_text(const Spread& spread);
std::string difference_text(const BootstrapResult& difference);  // "+0.013 [−0.002, +0.028]"
/// Where a grid's numbers are from, or that there are none; without a full stop.
std::string grid_text(const RateSearch& search);
/// "0.005", or "0.005 (edge of the grid)".
std::string rate_text(const VariantResults& results);
/// Of a grid of learning rates: "0.5123", "diverged", or "–" where it wasn't tried.
std::string trial_text(const VariantResults& results, const std::string& learning_rate);
/// Why a row of the table is compared with nothing.
std::string no_difference_text(const Table& table, const Table::Row& row);
std::string divergence_text(const Divergence& run);

}  // namespace moelora::compare
