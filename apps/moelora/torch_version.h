// The libtorch this program was built with, apart from files that must not see torch's headers.
#pragma once

#include <string>

namespace moelora::app {

std::string torch_version();

}  // namespace moelora::app
