// Where the model and text fixtures are that ctest makes (tests/fixtures/README.md). A function and not a macro: the
// path is the build folder's, and in compiler flags it would keep ccache from sharing any test between build folders.
#pragma once

#include <string>

namespace moelora::testing {

/// The folder, without a slash at its end.
const std::string& fixtures_dir();

}  // namespace moelora::testing
