// What of a comparison's results stands in its tables: the best of the tried learning rates, and whole seeds.
#pragma once

#include "compare/comparison.h"

namespace moelora::compare {

/// Throws Error (kData) for a result without dev rows, which says nothing of its rate.
Trial make_trial(const std::string& learning_rate, const Result& result);

/// Sets `learning_rate` and `at_edge` by the trials; false where there is none or every one diverged.
bool take_best_rate(const std::vector<std::string>& grid, bool higher_is_better, VariantResults& results);

/// Leaves out variants without any result and seeds that some of the others don't have.
void keep_whole_seeds(Comparison& comparison);

/// ErrorList (kNumeric) with each of `comparison.diverged`, where there are any.
void throw_if_diverged(const Comparison& comparison);

}  // namespace moelora::compare
