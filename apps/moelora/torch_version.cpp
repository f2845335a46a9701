#include "torch_version.h"

#include <torch/headeronly/version.h>

namespace moelora::app {

std::string torch_version() {
  return TORCH_VERSION;
}

}  // namespace moelora::app
