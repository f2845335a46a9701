// torch's own exceptions, apart from files that must not see torch's headers.
#pragma once

#include <exception>
#include <optional>
#include <string>

namespace moelora::app {

struct TorchError {
  std::string message;  // without the backtrace that what() adds
  bool out_of_memory = false;
};

/// Nothing for an exception of another library.
std::optional<TorchError> torch_error(const std::exception& error);

}  // namespace moelora::app
