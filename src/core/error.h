// The one error type of the program: what was wrong, where, what was found, what was expected, and the exit code by
// kind. Every layer throws moelora::Error for anything a user can cause; only apps/moelora prints it and turns it into
// an exit code.
#pragma once

#include <exception>
#include <string>
#include <vector>

namespace moelora {

/// Kinds of failure; the value is the process's exit code and is stable across releases.
enum class ErrorKind {
  kInternal = 1,      // a bug in moelora: please report
  kUsage = 2,         // a flag or verb of the command line
  kConfig = 3,        // a configuration file
  kData = 4,          // a data row or data file
  kModel = 5,         // a model directory, tokenizer, template, adapter or run directory
  kNumeric = 6,       // a loss or gradient that is not finite
  kIo = 7,            // disk full, unwritable directory, failed fsync
  kPeer = 8,          // another rank was lost
  kLimit = 9,         // a bound (context, batch, memory) that the request exceeds
  kInterrupted = 75,  // SIGINT or SIGTERM; what is resumable was saved first (`train`: a checkpoint)
};

/// The parts of a message. `where` names a file (with line or tensor), a flag or a config key.
struct ErrorDetails {
  std::string where;
  std::string problem;   // one clause, no full stop: "unknown key `exprts`"
  std::string found;     // optional
  std::string expected;  // optional
  std::string hint;      // optional: "did you mean `experts`?"
};

class Error : public std::exception {
 public:
  Error(ErrorKind kind, ErrorDetails details);

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }
  const ErrorDetails& details() const { return details_; }

  /// "where: problem (found …; expected …); hint" on one line.
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorKind kind_;
  ErrorDetails details_;
  std::string message_;
};

/// Several independent errors of one input (a config, say), reported at once. Same kind for all; never empty.
class ErrorList : public std::exception {
 public:
  explicit ErrorList(std::vector<Error> errors);

  const std::vector<Error>& errors() const { return errors_; }
  int exit_code() const { return errors_.front().exit_code(); }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::vector<Error> errors_;
  std::string message_;
};

}  // namespace moelora
