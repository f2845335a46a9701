// The gates of a run as a picture: a heat map of tasks by experts for each gate.
#pragma once

#include <string>
#include <vector>

#include "adapters/gate_table.h"

namespace moelora::compare {

/// A self-contained SVG.
std::string gate_svg(const std::vector<std::string>& tasks, const std::vector<adapters::GateTable>& gates);

}  // namespace moelora::compare
