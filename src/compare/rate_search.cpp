#include "compare/rate_search.h"

#include <optional>
#include <utility>

#include "compare/result_store.h"
#include "compare/selection.h"
#include "core/error.h"

namespace moelora::compare {
namespace {

RateSearch search_with(const config::CompareSpec& spec, const Surroundings& surroundings, ResultStore& results) {
  RateSearch search{.code = surroundings.code, .seed = spec.seeds.front(), .learning_rates = spec.learning_rates};
  for (const Variant& variant : variants(spec)) {
    VariantResults& one = search.variants.emplace_back(VariantResults{.variant = variant});
    for (const std::string& rate : spec.learning_rates) {
      const Cell cell = make_cell(spec, variant, rate, search.seed, surroundings);
      search.dev_is_score = cell.config.eval.generate;
      if (const std::optional<Result> result = results.find(cell, /*with_test=*/false))
        one.trials.push_back(make_trial(rate, *result));
    }
    take_best_rate(spec.learning_rates, search.dev_is_score, one);
  }
  return search;
}

size_t count_trials(const RateSearch& search) {
  size_t count = 0;
  for (const VariantResults& variant : search.variants) count += variant.trials.size();
  return count;
}

RateSearch read(const std::filesystem::path& file, Surroundings surroundings) {
  const config::CompareSpec spec = config::load_compare_spec(file);
  if (spec.learning_rates.empty()) {
    throw Error(ErrorKind::kConfig, {.where = file.string(),
                                     .problem = "the comparison tries no learning rates",
                                     .expected = "one with `learning_rates`"});
  }
  ResultStore results(spec.results);
  RateSearch most = search_with(spec, surroundings, results);
  for (const auto& [code, count] : results.codes()) {
    surroundings.code = code;
    RateSearch search = search_with(spec, surroundings, results);
    if (count_trials(search) > count_trials(most)) most = std::move(search);
  }
  most.file = file.filename().string();
  return most;
}

}  // namespace

RateSearch read_search(const std::filesystem::path& file, const Surroundings& surroundings) {
  try {
    return read(file, surroundings);
  } catch (const Error& error) {  // it is only shown: what is wrong with it is said as such
    ErrorDetails details = error.details();
    details.where = "`rates`: " + details.where;
    throw Error(error.kind(), details);
  }
}

bool has_trials(const RateSearch& search) {
  return count_trials(search) > 0;
}

}  // namespace moelora::compare
