// Where an error about a tensor of a hostile file is: core/quote.h for the name alone.
#pragma once

#include <string>
#include <string_view>

#include "core/quote.h"

namespace moelora::io {

/// "path, tensor `name`": the `where` of an error about one tensor.
std::string tensor_place(std::string_view path, std::string_view name);

}  // namespace moelora::io
