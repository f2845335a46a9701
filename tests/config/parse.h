// Short ways to parse a configuration and to ask what was wrong with it.
#pragma once

#include <string>
#include <vector>

#include "config/load.h"
#include "core/error.h"

namespace moelora::config::test {

/// What every configuration needs, for tests about other keys.
inline constexpr const char* kMinimal = "model: m\ndata: d\n";

/// The messages, one an error; empty where there is none.
inline std::vector<std::string> messages_of(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  std::vector<std::string> messages;
  try {
    parse_config(yaml, "run.yaml", overrides);
  } catch (const ErrorList& list) {
    for (const Error& error : list.errors()) messages.emplace_back(error.what());
  }
  return messages;
}

}  // namespace moelora::config::test
