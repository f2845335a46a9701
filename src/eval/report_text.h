// What the forms of a report share. Private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/report.h"

namespace moelora::eval {

std::string three_decimals(double score);
/// Every comparison of any task, in order of first appearance.
std::vector<std::string> comparison_names(const Report& report);
/// Nothing where the task hasn't it.
std::optional<double> comparison_of(const TaskReport& task, std::string_view name);

}  // namespace moelora::eval
