#include "torch_error.h"

#include <c10/util/Exception.h>

namespace moelora::app {

std::optional<TorchError> torch_error(const std::exception& error) {
  const auto* own = dynamic_cast<const c10::Error*>(&error);
  if (own == nullptr) return std::nullopt;
  const std::string message = own->what_without_backtrace();
  // c10's CPU allocator throws no type of its own.
  const bool refused = message.find("can't allocate memory") != std::string::npos ||
                       message.find("not enough memory") != std::string::npos;
  return TorchError{message, refused || dynamic_cast<const c10::OutOfMemoryError*>(own) != nullptr};
}

}  // namespace moelora::app
