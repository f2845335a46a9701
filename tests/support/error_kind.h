// What an action that must fail throws.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"

namespace moelora::testing {

/// The kind of the Error; a failure of the test where none is thrown.
inline ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::kInternal;
}

}  // namespace moelora::testing
