// Rows and groups that stand in both train and test, of any two tasks: what would make a test score mean nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace moelora::data {

enum class OverlapKind { kRow, kGroup };

/// One pair of tasks that share rows or groups. A row is its prompt without system messages (for text rows its text),
/// compared exactly; a group is the value of the configured group field.
struct Overlap {
  OverlapKind kind = OverlapKind::kRow;
  std::string train_task;
  std::string test_task;
  int64_t count = 0;        // distinct rows or groups shared
  std::string train_where;  // file:line of the first pair
  std::string test_where;
};

std::vector<Overlap> find_overlap(const Dataset& dataset);

/// "12 rows of the test set of `a` stand in the training set of `b` (first: x:3 and y:9)"
std::string describe(const Overlap& overlap);

/// Throws ErrorList(kData), one entry a pair, unless the configuration allows overlap: then they are returned as
/// warnings.
std::vector<std::string> check_overlap(const Dataset& dataset);

}  // namespace moelora::data
