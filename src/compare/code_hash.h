// Which code a result was computed with.
#pragma once

#include <string_view>

namespace moelora::compare {

/// 32 hex digits over every source that decides a number (all layers but this one). Made by cmake/code_hash.cmake.
std::string_view code_hash();

}  // namespace moelora::compare
