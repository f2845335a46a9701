// A run's YAML. What is accepted means the same when its resolved form is read again.
#include "config/load.h"
#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const std::string resolved = config::to_yaml(config::parse_config(input, "run.yaml"));
  require(config::to_yaml(config::parse_config(resolved, "run.yaml")) == resolved,
          "a resolved configuration that reads back changed");
}

}  // namespace moelora::fuzz
