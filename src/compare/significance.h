// Whether a variant differs from the reference by more than the seeds and the choice of test rows would make it.
//
// Hierarchical bootstrap, paired: in each resample the seeds are drawn with replacement, then the groups of test rows
// (data.group; rows without one are each their own); both methods are scored anew on those rows with every drawn seed.
// Seeds and rows are crossed, not nested: every seed is tested on the same rows, so which rows those are is an error
// that all seeds share, and rows drawn for each seed by itself would average it away. So it is with tasks: a group that
// stands in several is drawn once for all of them. Tasks that share no group have as many drawn as they have. The
// endpoint is the mean over tasks of the difference, averaged over the drawn seeds. Holm's correction is over all
// variants compared with the same reference.
#pragma once

#include <optional>
#include <vector>

#include "compare/comparison.h"
#include "compare/statistics.h"

namespace moelora::compare {

/// A variant against its reference: what it has more (less, where negative).
struct Difference {
  BootstrapResult mean;  // over the tasks
  double p_holm = 1;
  std::vector<BootstrapResult> tasks;  // of each task, uncorrected
};

/// One entry a variant, in the comparison's order; nothing for the references themselves and where test rows or seeds
/// differ from the reference's.
std::vector<std::optional<Difference>> differences(const Comparison& comparison);

/// Of one pair with the same seeds, tasks, and rows with each seed. `seed` decides the resamples.
Difference bootstrap_difference(const std::vector<Result>& variant, const std::vector<Result>& reference,
                                int64_t resamples, uint64_t seed);

}  // namespace moelora::compare
