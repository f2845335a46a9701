#include "config/changes.h"

#include <algorithm>
#include <set>

#include "config/fields.h"
#include "config/load.h"
#include "config/loader.h"
#include "config/value.h"

namespace moelora::config {
namespace {

/// What must be one for all methods, or is the comparison's own to set.
const std::vector<std::string> kFixed = {"model", "data", "output", "template", "train.seed", "random_init"};

std::string text_of(const YamlNode& value) {
  if (value.is_null()) return "null";
  if (!value.is_list()) return value.scalar;
  std::string text = "[";
  for (const YamlNode& item : value.items) {
    text += (text.size() > 1 ? ", " : "") + (item.is_scalar() ? yaml_text(item.scalar) : item.scalar);
  }
  return text + "]";
}

class ChangesReader {
 public:
  explicit ChangesReader(const ReportChange& report) : report_(report) {}

  void read(const YamlNode& value, const YamlNode& place, const std::string& key) {
    if (value.is_map()) {
      for (const auto& [name, inner] : value.pairs)
        read(inner, name, key.empty() ? name.scalar : key + "." + name.scalar);
    } else if (is_fixed(key)) {
      report_(place, {.problem = "`" + key + "` must be the same for all methods",
                      .expected = "a key of adapter, train, eval or tasks"});
    } else if (value.is_scalar() && value.scalar == "null") {
      report_(value, {.problem = "the text `null` can't be a comparison's value",
                      .expected = "another text, or null without quotes"});
    } else if (value.is_list() && is_text_key(key)) {
      report_(value, {.problem = "wrong type for `" + key + "`", .found = "a list", .expected = "text"});
    } else if (!seen_.insert(key).second) {
      report_(place, {.problem = "`" + key + "` stands there twice", .expected = "each key once"});
    } else if (const std::string change = key + "=" + text_of(value); check(change, value, place)) {
      changes_.push_back(change);
    }
  }

  std::vector<std::string> take() { return std::move(changes_); }

 private:
  static bool is_fixed(const std::string& key) {
    return std::ranges::any_of(kFixed,
                               [&](const std::string& one) { return key == one || key.starts_with(one + "."); });
  }

  /// As load_config would take it, but by itself: what fits together is checked with a whole configuration.
  bool check(const std::string& change, const YamlNode& value, const YamlNode& place) {
    RunConfig config;
    Findings findings("comparison");
    Loader("comparison", &config, &findings).apply_override(change);
    try {
      findings.throw_if_any();
      return true;
    } catch (const ErrorList& list) {
      for (const Error& error : list.errors()) {
        const bool of_key = error.details().problem.starts_with("unknown key");
        report_(of_key ? place : value, error.details());
      }
      return false;
    }
  }

  const ReportChange& report_;
  std::set<std::string> seen_;
  std::vector<std::string> changes_;
};

}  // namespace

std::vector<std::string> read_changes(const YamlNode& mapping, const ReportChange& report) {
  ChangesReader reader(report);
  reader.read(mapping, mapping, "");
  return reader.take();
}

std::string key_of(const std::string& change) {
  return change.substr(0, change.find('='));
}

bool is_config_key(const std::string& name) {
  return std::ranges::any_of(schema(),
                             [&](const KeySchema& key) { return key.key == name || key.key.starts_with(name + "."); });
}

}  // namespace moelora::config
