#include "compare/selection.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/error.h"

namespace moelora::compare {

namespace {

double rate_of(const std::string& text) {
  return std::stod(text);
}

}  // namespace

Trial make_trial(const std::string& learning_rate, const Result& result) {
  if (result.dev) return {.learning_rate = learning_rate, .dev = *result.dev};
  if (!result.diverged.empty()) return {.learning_rate = learning_rate, .diverged = true};
  throw Error(ErrorKind::kData,
              {.where = "learning_rates", .problem = "they are chosen on dev rows, and there are none"});
}

bool take_best_rate(const std::vector<std::string>& grid, bool higher_is_better, VariantResults& results) {
  const Trial* best = nullptr;
  for (const Trial& trial : results.trials) {
    if (trial.diverged) continue;
    if (best == nullptr || (higher_is_better ? trial.dev > best->dev : trial.dev < best->dev)) best = &trial;
  }
  if (best == nullptr) return false;
  results.learning_rate = best->learning_rate;
  const auto [lowest, highest] = std::ranges::minmax(grid, {}, rate_of);
  results.at_edge = grid.size() > 1 && (rate_of(results.learning_rate) <= rate_of(lowest) ||
                                        rate_of(results.learning_rate) >= rate_of(highest));
  return true;
}

void keep_whole_seeds(Comparison& comparison) {
  std::vector<VariantResults>& all = comparison.variants;
  std::erase_if(all, [](const VariantResults& variant) { return variant.seeds.empty(); });
  std::erase_if(comparison.spec.seeds, [&](uint64_t seed) {
    const auto has_it = [seed](const VariantResults& variant) {
      return std::ranges::find(variant.seeds, seed, &Result::seed) != variant.seeds.end();
    };
    return !std::ranges::all_of(all, has_it);
  });
  for (VariantResults& variant : all) {
    std::erase_if(variant.seeds, [&](const Result& result) {
      return std::ranges::find(comparison.spec.seeds, result.seed) == comparison.spec.seeds.end();
    });
  }
}

void throw_if_diverged(const Comparison& comparison) {
  if (comparison.diverged.empty()) return;
  const bool others = std::ranges::any_of(comparison.variants, [](const auto& one) { return !one.seeds.empty(); });
  std::vector<Error> errors;
  for (const Divergence& one : comparison.diverged) {
    errors.emplace_back(ErrorKind::kNumeric,
                        ErrorDetails{.where = one.variant + ", seed " + std::to_string(one.seed),
                                     .problem = "the run diverged, and its result says so",
                                     .found = one.problem + "; learning rate " + one.learning_rates,
                                     .expected = "a learning rate with which every loss is finite",
                                     .hint = others ? "--report-only shows what the others have" : ""});
  }
  throw ErrorList(std::move(errors));
}

}  // namespace moelora::compare
