#include "io/quote.h"

namespace moelora::io {

std::string tensor_place(std::string_view path, std::string_view name) {
  return std::string(path) + ", tensor " + quote_name(name);
}

}  // namespace moelora::io
