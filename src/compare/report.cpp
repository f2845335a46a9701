#include "compare/report.h"

#include <algorithm>
#include <cstdio>

#include "compare/rate_search.h"
#include "core/durable.h"

namespace moelora::compare {
namespace {

nlohmann::ordered_json bootstrap_json(const BootstrapResult& result) {
  return {{"estimate", result.estimate}, {"low", result.low}, {"high", result.high}, {"p", result.p}};
}

nlohmann::ordered_json spread_json(const Spread& spread) {
  return {{"mean", spread.mean}, {"deviation", spread.deviation}, {"seeds", spread.count}};
}

nlohmann::ordered_json trials_json(const VariantResults& results) {
  nlohmann::ordered_json trials = nlohmann::ordered_json::array();
  for (const Trial& trial : results.trials) {
    trials.push_back({{"learning_rate", trial.learning_rate},
                      {"dev", trial.diverged ? nlohmann::ordered_json() : nlohmann::ordered_json(trial.dev)},
                      {"diverged", trial.diverged}});
  }
  return trials;
}

nlohmann::ordered_json search_json(const RateSearch& search) {
  nlohmann::ordered_json out = {{"file", search.file},
                                {"code", search.code},
                                {"seed", search.seed},
                                {"dev_is_score", search.dev_is_score},
                                {"learning_rates", search.learning_rates},
                                {"variants", nlohmann::ordered_json::array()}};
  for (const VariantResults& results : search.variants) {
    out["variants"].push_back({{"name", results.variant.name},
                               {"learning_rate", results.learning_rate},
                               {"at_edge_of_grid", results.at_edge},
                               {"trials", trials_json(results)}});
  }
  return out;
}

}  // namespace

std::string spread_text(const Spread& spread) {
  char text[48];
  std::snprintf(text, sizeof text, spread.count > 1 ? "%.3f ± %.3f" : "%.3f", spread.mean, spread.deviation);
  return text;
}

std::string difference_text(const BootstrapResult& difference) {
  char text[64];
  std::snprintf(text, sizeof text, "%+.3f [%+.3f, %+.3f]", difference.estimate, difference.low, difference.high);
  return text;
}

std::string trial_text(const VariantResults& results, const std::string& learning_rate) {
  const auto trial = std::ranges::find(results.trials, learning_rate, &Trial::learning_rate);
  if (trial == results.trials.end()) return "–";
  if (trial->diverged) return "diverged";
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", trial->dev);
  return text;
}

std::string grid_text(const RateSearch& search) {
  if (!has_trials(search)) return "No result of " + search.file + " on this base and data";
  const std::string from = search.file.empty() ? "" : " of " + search.file + " (code " + search.code.substr(0, 8) + ")";
  return "The same grid for every method" + from + ", with seed " + std::to_string(search.seed) +
         ", chosen on the dev rows (" + (search.dev_is_score ? "score: higher is better" : "loss: lower is better") +
         ")";
}

std::string rate_text(const VariantResults& results) {
  return results.learning_rate + (results.at_edge ? " (edge of the grid)" : "");
}

std::string no_difference_text(const Table& table, const Table::Row& row) {
  if (row.results->variant.reference) return "reference";
  const auto is_its_reference = [&](const Table::Row& other) {
    return is_reference_of(other.results->variant, row.results->variant);
  };
  return std::ranges::any_of(table.rows, is_its_reference) ? "not on the same rows and seeds"
                                                           : "the reference has no result";
}

std::string divergence_text(const Divergence& run) {
  return run.variant + ", seed " + std::to_string(run.seed) + ", learning rate " + run.learning_rates + ": " +
         run.problem;
}

Table make_table(const Comparison& comparison) {
  Table table;
  if (comparison.variants.empty()) return table;
  for (const TaskResult& task : comparison.variants.front().seeds.front().tasks) {
    table.tasks.push_back(task.task);
    table.metrics.push_back(task.metric);
  }
  const std::vector<std::optional<Difference>> found = differences(comparison);
  for (size_t v = 0; v < comparison.variants.size(); ++v) {
    const VariantResults& variant = comparison.variants[v];
    Table::Row row{.results = &variant, .difference = found[v]};
    std::vector<std::vector<double>> scores(table.tasks.size());
    std::vector<double> means;
    for (const Result& result : variant.seeds) {
      double mean = 0;
      for (size_t t = 0; t < table.tasks.size(); ++t) {
        scores[t].push_back(result.tasks[t].score);
        mean += result.tasks[t].score / static_cast<double>(table.tasks.size());
      }
      means.push_back(mean);
      row.train_seconds += result.train_seconds / static_cast<double>(variant.seeds.size());
    }
    for (const std::vector<double>& task : scores) row.tasks.push_back(spread_of(task));
    row.mean = spread_of(means);
    table.rows.push_back(std::move(row));
  }
  return table;
}

nlohmann::ordered_json comparison_json(const Comparison& comparison, const Table& table) {
  nlohmann::ordered_json out = {{"reference", comparison.spec.reference},
                                {"seeds", comparison.spec.seeds},
                                {"learning_rates", comparison.spec.learning_rates},
                                {"test_rows", comparison.spec.test_rows},
                                {"resamples", comparison.spec.resamples},
                                {"missing", comparison.missing},
                                {"code", comparison.surroundings.code},
                                {"data", comparison.surroundings.run.data},
                                {"base", comparison.surroundings.run.base},
                                {"variants", nlohmann::ordered_json::array()}};
  for (const Divergence& run : comparison.diverged) {
    out["diverged"].push_back(
        {{"name", run.variant}, {"seed", run.seed}, {"learning_rates", run.learning_rates}, {"problem", run.problem}});
  }
  for (const Table::Row& row : table.rows) {
    const VariantResults& results = *row.results;
    nlohmann::ordered_json one = {{"name", results.variant.name},
                                  {"overrides", results.variant.overrides},
                                  {"parameters", results.seeds.front().parameters},
                                  {"train_seconds", row.train_seconds},
                                  {"learning_rate", results.learning_rate},
                                  {"at_edge_of_grid", results.at_edge},
                                  {"trials", trials_json(results)},
                                  {"mean", spread_json(row.mean)},
                                  {"tasks", nlohmann::ordered_json::object()}};
    for (size_t t = 0; t < table.tasks.size(); ++t) {
      one["tasks"][table.tasks[t]] = spread_json(row.tasks[t]);
      one["tasks"][table.tasks[t]]["metric"] = table.metrics[t];
      if (row.difference) one["tasks"][table.tasks[t]]["difference"] = bootstrap_json(row.difference->tasks[t]);
    }
    if (row.difference) {
      one["difference"] = bootstrap_json(row.difference->mean);
      one["difference"]["p_holm"] = row.difference->p_holm;
    }
    for (const Result& result : results.seeds) one["results"].push_back(result.key);
    out["variants"].push_back(std::move(one));
  }
  for (const RateSearch& search : comparison.searches) out["searches"].push_back(search_json(search));
  return out;
}

std::string write_comparison(const Comparison& comparison, const std::filesystem::path& dir) {
  const Table table = make_table(comparison);
  const std::string markdown = comparison_markdown(comparison, table);
  write_file_atomically(dir / "report.md", markdown);
  write_file_atomically(dir / "report.json", comparison_json(comparison, table).dump(2) + "\n");
  write_file_atomically(dir / "report.html", comparison_html(comparison, table));
  return markdown;
}

}  // namespace moelora::compare
