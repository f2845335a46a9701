// A metric's score of any choice of rows, repeated ones among them, from what each row added: what a bootstrap draws
// again and again.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "eval/metric.h"

namespace moelora::eval {

/// Whether the metric is made of the items of all rows, counted (RowScore's right, wrong and missed), and not of scores
/// of each. Throws Error (kConfig) for an unknown metric.
bool counts_items(std::string_view metric);

/// The score that the metric of that name has for rows[i] taken counts[i] times (counts of the rows' length): micro F1
/// of the summed counts, macro F1 over the classes that are gold or answered, else the mean of the rows' scores.
/// Nothing taken: 0. Throws Error (kConfig) for an unknown metric.
double rescore(std::string_view metric, std::span<const RowScore> rows, std::span<const int64_t> counts);

}  // namespace moelora::eval
