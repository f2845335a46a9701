#include "config/compare_spec.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include "config/yaml_tree.h"
#include "core/error.h"
#include "core/suggest.h"

namespace moelora::config {
namespace {

const std::vector<std::string> kKeys = {"config", "output",         "results", "methods",   "reference",
                                        "seeds",  "learning_rates", "sweep",   "test_rows", "resamples"};
/// What must be one for all methods, or is the comparison's own to set.
const std::vector<std::string> kShared = {"model", "data", "output", "template", "train.seed", "random_init"};

class SpecReader {
 public:
  explicit SpecReader(const std::filesystem::path& file) : file_(file) {
    spec_.output = std::filesystem::path("runs") / file.stem();
  }

  CompareSpec read(const YamlNode& root) {
    if (!root.is_map()) {
      add(root, "a comparison is a mapping of keys", "", list_names(kKeys));
    } else {
      for (const auto& [key, value] : root.pairs) read_key(key, value);
      check();
    }
    if (!errors_.empty()) throw ErrorList(std::move(errors_));
    return std::move(spec_);
  }

 private:
  void add(const YamlNode& at, std::string problem, std::string found, std::string expected, std::string hint = "") {
    errors_.emplace_back(ErrorKind::kConfig,
                         ErrorDetails{file_.string() + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                                      std::move(problem), std::move(found), std::move(expected), std::move(hint)});
  }

  void read_key(const YamlNode& key, const YamlNode& value) {
    const std::string& name = key.scalar;
    if (!seen_.insert(name).second) return add(key, "`" + name + "` stands there twice", "", "each key once");
    const std::filesystem::path folder = file_.parent_path();
    if (name == "config") {
      spec_.config = folder / text(value, name);
    } else if (name == "output") {
      spec_.output = text(value, name);
    } else if (name == "results") {
      spec_.results = folder / text(value, name);
    } else if (name == "reference") {
      spec_.reference = text(value, name);
    } else if (name == "methods") {
      read_methods(value);
    } else if (name == "seeds") {
      for (const std::string& seed : texts(value, name)) spec_.seeds.push_back(number(value, name, seed));
    } else if (name == "learning_rates") {
      spec_.learning_rates = texts(value, name);
    } else if (name == "sweep") {
      read_sweeps(value);
    } else if (name == "test_rows") {
      spec_.test_rows = static_cast<int64_t>(number(value, name, text(value, name)));
    } else if (name == "resamples") {
      spec_.resamples = static_cast<int64_t>(number(value, name, text(value, name)));
    } else {
      add(key, "unknown key `" + name + "`", "", "one of " + list_names(kKeys), did_you_mean(name, kKeys));
    }
  }

  std::string text(const YamlNode& value, const std::string& key) {
    if (value.is_scalar() && !value.scalar.empty()) return value.scalar;
    add(value, "`" + key + "` needs one value", "", "text");
    return "";
  }

  std::vector<std::string> texts(const YamlNode& value, const std::string& key) {
    std::vector<std::string> all;
    if (value.is_list() && !value.items.empty()) {
      for (const YamlNode& item : value.items) all.push_back(text(item, key));
    } else {
      add(value, "`" + key + "` needs a list", "", "[a, b]");
    }
    std::vector<std::string> sorted = all;
    std::ranges::sort(sorted);
    if (std::ranges::adjacent_find(sorted) != sorted.end())
      add(value, "`" + key + "` names a value twice", "", "each once");
    return all;
  }

  uint64_t number(const YamlNode& at, const std::string& key, const std::string& value) {
    uint64_t number = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (problem != std::errc() || end != value.data() + value.size() || number > INT64_MAX) {
      add(at, "`" + key + "` holds what isn't a whole number", value, "0 or more");
    }
    return number;
  }

  /// {adapter: {method: lora}} and {adapter.method: lora} -> "adapter.method=lora".
  void flatten(const YamlNode& value, const std::string& key, std::vector<std::string>* overrides) {
    if (value.is_map()) {
      for (const auto& [name, inner] : value.pairs)
        flatten(inner, key.empty() ? name.scalar : key + "." + name.scalar, overrides);
      return;
    }
    const auto shared =
        std::ranges::find_if(kShared, [&](const std::string& one) { return key == one || key.starts_with(one + "."); });
    if (shared != kShared.end())
      return add(value, "`" + key + "` must be the same for all methods", "", "a key of adapter, train, eval or tasks");
    std::string text = value.scalar;
    if (value.is_list()) {
      text = "[";
      for (const YamlNode& item : value.items) text += (text.size() > 1 ? ", " : "") + item.scalar;
      text += "]";
    }
    overrides->push_back(key + "=" + text);
  }

  void read_methods(const YamlNode& value) {
    if (!value.is_map() || value.pairs.empty())
      return add(value, "`methods` needs a mapping", "", "{lora: {adapter.method: lora}}");
    for (const auto& [name, overrides] : value.pairs) {
      if (std::ranges::find(spec_.methods, name.scalar, &CompareMethod::name) != spec_.methods.end()) {
        add(name, "the method `" + name.scalar + "` stands there twice", "", "each once");
      }
      CompareMethod& method = spec_.methods.emplace_back();
      method.name = name.scalar;
      if (!overrides.is_map()) {
        add(overrides, "the method `" + name.scalar + "` needs a mapping", "", "the keys it changes");
      } else {
        flatten(overrides, "", &method.overrides);
      }
    }
  }

  void read_sweeps(const YamlNode& value) {
    if (!value.is_map()) return add(value, "`sweep` needs a mapping", "", "{adapter.rank: [4, 8]}");
    for (const auto& [key, values] : value.pairs) {
      std::vector<std::string> checked;
      flatten(YamlNode{.kind = YamlNode::Kind::kScalar, .line = key.line, .column = key.column}, key.scalar, &checked);
      spec_.sweeps.push_back({key.scalar, texts(values, key.scalar)});
    }
  }

  void check() {
    const YamlNode nowhere{.line = 1, .column = 1};
    if (!seen_.contains("config")) add(nowhere, "`config` is missing", "", "the configuration that all runs share");
    if (!seen_.contains("methods")) add(nowhere, "`methods` is missing", "", "what is compared");
    if (spec_.seeds.empty() && !seen_.contains("seeds")) spec_.seeds = {42};
    if (spec_.results.empty()) spec_.results = spec_.output / "results";
    std::vector<std::string> names;
    for (const CompareMethod& method : spec_.methods) names.push_back(method.name);
    if (spec_.reference.empty()) spec_.reference = "moelora";
    if (!names.empty() && std::ranges::find(names, spec_.reference) == names.end()) {
      add(nowhere, "the reference `" + spec_.reference + "` is none of the methods", "", "one of " + list_names(names),
          did_you_mean(spec_.reference, names));
    }
    if (spec_.resamples < 100)
      add(nowhere, "`resamples` is too small for a p-value", std::to_string(spec_.resamples), "100 or more");
  }

  std::filesystem::path file_;
  CompareSpec spec_;
  std::set<std::string> seen_;
  std::vector<Error> errors_;
};

}  // namespace

CompareSpec parse_compare_spec(std::string_view yaml_text, const std::filesystem::path& file_name) {
  return SpecReader(file_name).read(parse_yaml(yaml_text, file_name.string()));
}

CompareSpec load_compare_spec(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) throw Error(ErrorKind::kConfig, {.where = path.string(), .problem = "can't read the comparison"});
  return parse_compare_spec(text.str(), path);
}

}  // namespace moelora::config
