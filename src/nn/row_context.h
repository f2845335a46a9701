// What each row of a packed batch carries for whoever wraps a projection. nn passes it through and never reads it.
#pragma once

namespace moelora::nn {

class RowContext {
 public:
  virtual ~RowContext() = default;
};

}  // namespace moelora::nn
