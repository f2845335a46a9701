// The names that the configuration's enumerations have in YAML, on the command line and in records of a run.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"

namespace moelora::config {

/// Names in the order of the enumerators.
const std::vector<std::string>& enum_names(Overflow);
const std::vector<std::string>& enum_names(LossNormalisation);
const std::vector<std::string>& enum_names(Method);
const std::vector<std::string>& enum_names(GateScope);
const std::vector<std::string>& enum_names(GateNormalise);
const std::vector<std::string>& enum_names(InitA);
const std::vector<std::string>& enum_names(Schedule);
const std::vector<std::string>& enum_names(DType);
const std::vector<std::string>& enum_names(Recompute);
const std::vector<std::string>& enum_names(WeightLayout);
const std::vector<std::string>& enum_names(Quantization);
const std::vector<std::string>& enum_names(Preset);

/// Other spellings that are read, each with the name that it stands for and that is written.
template <typename Enum>
std::map<std::string, std::string> enum_aliases(Enum) {
  return {};
}
std::map<std::string, std::string> enum_aliases(DType);
std::map<std::string, std::string> enum_aliases(Quantization);

template <typename Enum>
const std::string& name_of(Enum value) {
  return enum_names(value).at(static_cast<size_t>(value));
}

template <typename Enum>
std::optional<Enum> from_name(std::string_view name) {
  const std::vector<std::string>& names = enum_names(Enum{});
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace moelora::config
