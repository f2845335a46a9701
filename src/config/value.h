// One value of the configuration, of any type: reading it from YAML, writing it, naming its type. Internal to
// src/config.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/enum_names.h"
#include "config/run_config.h"
#include "config/yaml_tree.h"

namespace moelora::config {

/// One of a few names: an enumeration's, or text that admits only some.
struct Choice {
  std::vector<std::string> names;
  bool optional = false;
  std::function<std::optional<std::string>()> get;
  std::function<void(const std::optional<std::string>&)> set;  // one of `names`, or nothing where optional
  std::map<std::string, std::string> aliases;                  // other spellings -> names
};

/// Where a value is kept. Scalars of template options are kept as JSON.
using Slot = std::variant<std::string*, bool*, int64_t*, uint64_t*, double*, std::optional<std::string>*,
                          std::optional<int64_t>*, std::optional<double>*, std::vector<std::string>*,
                          std::map<std::string, std::string>*, std::vector<DataSource>*, Choice>;

/// "number", "integer", "linear | cosine | constant", …
std::string type_name(const Slot& slot);

/// The value as YAML on one line; nothing where an optional one isn't set. Not for sources.
std::optional<std::string> value_text(const Slot& slot);

/// Text as a YAML scalar, quoted where it must be.
std::string yaml_text(std::string_view text);

/// What was wrong with a value: parts of an ErrorDetails.
struct ValueProblem {
  std::string problem;
  std::string found;
  std::string expected;
  std::string hint;
  const YamlNode* at = nullptr;  // the offending node
};

/// Stores the node's value; a problem leaves the slot as it was. Not for sources.
std::optional<ValueProblem> set_value(const YamlNode& node, const Slot& slot);

/// "`abc`", "a list", "nothing": what a node is, for messages.
std::string describe(const YamlNode& node);

/// The bounds of a number.
struct Range {
  enum class Bound { kNone, kInclusive, kExclusive };
  Bound low = Bound::kNone;
  double least = 0;
  Bound high = Bound::kNone;
  double most = 0;

  bool holds(double value) const;
  std::string text() const;  // "> 0", "0 to below 1"; empty for any
};

/// The slot's number where it has one.
std::optional<double> number_of(const Slot& slot);

}  // namespace moelora::config
