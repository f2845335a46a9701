// The learning rates that another comparison tried, for a report to show beside those that it takes as given.
#pragma once

#include <filesystem>

#include "compare/comparison.h"

namespace moelora::compare {

/// What the results of the comparison in `file` say of its grid: on the base, tokenizer, template and data of
/// `surroundings`, made by whichever sources made the most of them. Rates without a result have no trial. Throws what
/// load_compare_spec and load_config throw, Error (kConfig) for a comparison without a grid, (kModel) for a file that
/// isn't a result and (kData) for a result without dev rows; each names `rates`, but for lists of errors.
RateSearch read_search(const std::filesystem::path& file, const Surroundings& surroundings);

bool has_trials(const RateSearch& search);

}  // namespace moelora::compare
