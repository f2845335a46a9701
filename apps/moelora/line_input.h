// Lines from a person or a pipe, where a signal ends the waiting.
#pragma once

#include <string>

namespace moelora::app {

class LineInput {
 public:
  enum class Outcome { kLine, kEnd, kSignal };

  /// The next line of standard input, without its end; the last one may lack it. kSignal: interrupt_requested() became
  /// true while waiting. Nothing else may read standard input. Throws Error (kIo) where it can't be read.
  Outcome read(std::string& line);

 private:
  std::string buffer_;
  bool ended_ = false;
};

}  // namespace moelora::app
