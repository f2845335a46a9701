// How one gate (or the absence of one) weighs the experts, as plain numbers: what is shown, kept and drawn of it.
#pragma once

#include <string>
#include <vector>

namespace moelora::adapters {

struct GateTable {
  std::string name;                         // "shared", or the path of the linear whose gate it is
  std::vector<std::vector<float>> weights;  // [tasks][N]
};

}  // namespace moelora::adapters
