#include "core/error.h"

#include <utility>

namespace moelora {
namespace {

std::string format(const ErrorDetails& details) {
  std::string text = details.where.empty() ? "" : details.where + ": ";
  text += details.problem;
  if (!details.found.empty() && !details.expected.empty()) {
    text += " (found " + details.found + "; expected " + details.expected + ")";
  } else if (!details.found.empty()) {
    text += " (found " + details.found + ")";
  } else if (!details.expected.empty()) {
    text += " (expected " + details.expected + ")";
  }
  if (!details.hint.empty()) text += "; " + details.hint;
  return text;
}

}  // namespace

Error::Error(ErrorKind kind, ErrorDetails details)
    : kind_(kind), details_(std::move(details)), message_(format(details_)) {}

ErrorList::ErrorList(std::vector<Error> errors) : errors_(std::move(errors)) {
  for (const Error& error : errors_) message_ += (message_.empty() ? "" : "\n") + std::string(error.what());
}

}  // namespace moelora
