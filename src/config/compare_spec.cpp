#include "config/compare_spec.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "config/changes.h"
#include "config/loader.h"
#include "config/yaml_tree.h"
#include "core/error.h"
#include "core/suggest.h"

namespace moelora::config {
namespace {

const std::vector<std::string> kKeys = {"config", "output",         "results", "shared", "methods",   "reference",
                                        "seeds",  "learning_rates", "rates",   "sweep",  "test_rows", "resamples"};
const std::string kShared = "shared.";
const std::string kRate = "train.learning_rate";

class SpecReader {
 public:
  explicit SpecReader(const std::filesystem::path& file) : file_(file) {
    spec_.output = std::filesystem::path("runs") / file.stem();
  }

  CompareSpec read(const YamlNode& root, const std::vector<std::string>& overrides) {
    if (!root.is_map()) {
      add(root, "a comparison is a mapping of keys", "", list_names(kKeys));
    } else {
      for (const auto& [key, value] : root.pairs) {
        if (!seen_.insert(key.scalar).second) {
          add(key, "`" + key.scalar + "` stands there twice", "", "each key once");
        } else if (std::ranges::find(overrides, key.scalar, key_of) == overrides.end()) {
          read_key(key, value);
        }
      }
      read_overrides(overrides);
      check();
    }
    if (!errors_.empty()) throw ErrorList(std::move(errors_));
    return std::move(spec_);
  }

 private:
  void add(const YamlNode& at, std::string problem, std::string found, std::string expected, std::string hint = "") {
    add(place(at), std::move(problem), std::move(found), std::move(expected), std::move(hint));
  }
  void add(std::string where, std::string problem, std::string found, std::string expected, std::string hint) {
    errors_.emplace_back(ErrorKind::kConfig, ErrorDetails{std::move(where), std::move(problem), std::move(found),
                                                          std::move(expected), std::move(hint)});
  }
  std::string place(const YamlNode& at) const {
    if (!override_.empty()) return override_;
    return file_.string() + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  }

  /// All of `shared` before what is added to it.
  void read_overrides(std::vector<std::string> overrides) {
    // Not std::ranges': clang 14 can't compile libstdc++'s.
    std::stable_partition(overrides.begin(), overrides.end(),
                          [](const std::string& text) { return key_of(text) == "shared"; });
    std::set<std::string> given;
    for (const std::string& text : overrides) {
      const std::string key = key_of(text);
      if (!key.starts_with(kShared) && !given.insert(key).second) {
        add("--" + key, "`" + key + "` is given twice", "", "each key once", "");
      } else {
        read_override(text);
      }
    }
    override_.clear();
  }

  /// "seeds=[1, 2]", which stands for the file's, and "shared.train.epochs=1", which is added to what the file shares.
  void read_override(const std::string& text) {
    const std::string name = key_of(text);
    override_ = "--" + name;
    const std::string value = text.substr(std::min(name.size() + 1, text.size()));
    const std::string shared = name.starts_with(kShared) ? name.substr(kShared.size()) : "";
    YamlNode node;
    try {
      node = argument_node(value, !is_text_key(shared), override_);
    } catch (const Error& error) {
      errors_.push_back(error);
      return;
    }
    if (!shared.empty()) {
      YamlNode mapping{.kind = YamlNode::Kind::kMap};
      mapping.pairs.push_back({{.kind = YamlNode::Kind::kScalar, .scalar = shared}, node});
      for (std::string& change : changes(mapping)) spec_.shared.push_back(std::move(change));
    } else if (name.find('.') != std::string::npos) {
      add(node, "a comparison has no such key", "", "one of " + list_names(kKeys),
          "`" + kShared + name + "` is that of all methods");
    } else {
      seen_.insert(name);
      read_key({.kind = YamlNode::Kind::kScalar, .scalar = name}, node);
    }
  }

  void read_key(const YamlNode& key, const YamlNode& value) {
    const std::string& name = key.scalar;
    const std::filesystem::path folder = override_.empty() ? file_.parent_path() : std::filesystem::path();
    if (name == "config") {
      spec_.config = folder / text(value, name);
    } else if (name == "output") {
      spec_.output = text(value, name);
    } else if (name == "results") {
      spec_.results = folder / text(value, name);
    } else if (name == "reference") {
      spec_.reference = text(value, name);
    } else if (name == "shared") {
      read_shared(value);
    } else if (name == "methods") {
      read_methods(value);
    } else if (name == "seeds") {
      for (const std::string& seed : texts(value, name)) spec_.seeds.push_back(number(value, name, seed, {}));
    } else if (name == "learning_rates") {
      spec_.learning_rates = texts(value, name);
    } else if (name == "rates") {
      for (const std::string& rates : texts(value, name)) spec_.rates.push_back(folder / rates);
    } else if (name == "sweep") {
      read_sweeps(value);
    } else if (name == "test_rows") {
      spec_.test_rows = static_cast<int64_t>(number(value, name, text(value, name), {}));
    } else if (name == "resamples") {
      // Fewer say nothing of a p-value; so many as no memory holds are a slip.
      spec_.resamples = static_cast<int64_t>(number(value, name, text(value, name), {.least = 100, .most = 1'000'000}));
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
    } else if (!override_.empty() && value.is_scalar()) {
      all.push_back(text(value, key));
    } else {
      add(value, "`" + key + "` needs a list", "", "[a, b]");
    }
    std::vector<std::string> sorted = all;
    std::ranges::sort(sorted);
    if (std::ranges::adjacent_find(sorted) != sorted.end())
      add(value, "`" + key + "` names a value twice", "", "each once");
    return all;
  }

  struct Bounds {
    uint64_t least = 0, most = INT64_MAX;
  };

  /// `least` where it isn't one; an empty text was refused before.
  uint64_t number(const YamlNode& at, const std::string& key, const std::string& value, Bounds bounds) {
    uint64_t number = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool is_number = problem == std::errc() && end == value.data() + value.size();
    if (is_number && number >= bounds.least && number <= bounds.most) return number;
    if (value.empty()) return bounds.least;
    add(at, "`" + key + "` holds " + (is_number ? "a number out of its bounds" : "what isn't a whole number"), value,
        bounds.most == INT64_MAX ? std::to_string(bounds.least) + " or more"
                                 : std::to_string(bounds.least) + " to " + std::to_string(bounds.most));
    return bounds.least;
  }

  std::vector<std::string> changes(const YamlNode& mapping) {
    return read_changes(mapping, [this](const YamlNode& at, ErrorDetails details) {
      add(at, std::move(details.problem), std::move(details.found), std::move(details.expected),
          std::move(details.hint));
    });
  }

  void read_shared(const YamlNode& value) {
    if (!value.is_map()) return add(value, "`shared` needs a mapping", "", "{train.epochs: 1}");
    spec_.shared = changes(value);
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
      method_places_.push_back(place(name));
      if (!overrides.is_map()) {
        add(overrides, "the method `" + name.scalar + "` needs a mapping", "", "the keys it changes");
      } else {
        method.overrides = changes(overrides);
      }
    }
  }

  void read_sweeps(const YamlNode& value) {
    if (!value.is_map())
      return add(value, "`sweep` needs a mapping", "",
                 "{adapter.rank: [8, 16]}, or points with names: {small: {adapter.rank: 8, adapter.alpha: 16}}");
    Sweep points;
    for (const auto& [key, values] : value.pairs) {
      if (values.is_map()) {
        read_point(key, values, &points);
      } else if (values.is_list()) {
        read_values(key, values);
      } else {
        add(values, "`" + key.scalar + "` needs a list of values, or, as the name of a point, a mapping", values.scalar,
            "[a, b] or {adapter.rank: 8, adapter.alpha: 16}");
      }
    }
    if (points.empty()) return;
    spec_.sweeps.insert(spec_.sweeps.begin(), std::move(points));
    sweep_places_.insert(sweep_places_.begin(), place(value));
  }

  void read_point(const YamlNode& name, const YamlNode& mapping, Sweep* points) {
    if (is_config_key(name.scalar) || name.scalar.empty())
      return add(name, "`" + name.scalar + "` is a key of the configuration, and stands for no point", "",
                 name.scalar + ".<key>: [a, b], or a name of its own for the point");
    if (std::ranges::find(*points, name.scalar, &SweepPoint::name) != points->end())
      return add(name, "the point `" + name.scalar + "` stands there twice", "", "each once");
    points->push_back({name.scalar, changes(mapping)});
  }

  void read_values(const YamlNode& key, const YamlNode& values) {
    Sweep sweep;
    for (const std::string& value : texts(values, key.scalar)) {
      YamlNode mapping{.kind = YamlNode::Kind::kMap};
      mapping.pairs.push_back(
          {key, {.kind = YamlNode::Kind::kScalar, .line = values.line, .column = values.column, .scalar = value}});
      const std::vector<std::string> change = changes(mapping);
      if (change.empty()) return;  // one error is enough
      sweep.push_back({change.front(), change});
    }
    if (sweep.empty()) return;
    spec_.sweeps.push_back(std::move(sweep));
    sweep_places_.push_back(place(key));
  }

  /// A key that two of grid, sweep and a method decide would be silently that of the last.
  void check_deciders() {
    if (!spec_.rates.empty() && !spec_.learning_rates.empty()) {
      add({.line = 1, .column = 1}, "`rates` names searches that are done, and `learning_rates` is another", "",
          "one of them");
    }
    std::map<std::string, std::string> deciders;
    if (!spec_.learning_rates.empty()) deciders[kRate] = "`learning_rates`";
    for (size_t i = 0; i < spec_.sweeps.size(); ++i) {
      std::set<std::string> keys;
      for (const SweepPoint& point : spec_.sweeps[i]) {
        for (const std::string& change : point.overrides) keys.insert(key_of(change));
      }
      for (const std::string& key : keys) {
        const auto [decider, is_first] = deciders.emplace(key, "`sweep`");
        if (!is_first)
          add(sweep_places_[i], "`sweep` decides `" + key + "`, as does " + decider->second, "", "one of them", "");
      }
    }
    for (size_t m = 0; m < spec_.methods.size(); ++m) {
      for (const std::string& change : spec_.methods[m].overrides) {
        const auto decider = deciders.find(key_of(change));
        if (decider == deciders.end()) continue;
        add(method_places_[m],
            "the method `" + spec_.methods[m].name + "` decides `" + decider->first + "`, as does " + decider->second,
            "", "one of them", "`shared` holds what a sweep or a grid may decide anew");
      }
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
    check_deciders();
  }

  std::filesystem::path file_;
  std::string override_;  // "--key" while an override is read
  CompareSpec spec_;
  std::vector<std::string> method_places_, sweep_places_;
  std::set<std::string> seen_;
  std::vector<Error> errors_;
};

}  // namespace

CompareSpec parse_compare_spec(std::string_view yaml_text, const std::filesystem::path& file_name,
                               const std::vector<std::string>& overrides) {
  return SpecReader(file_name).read(parse_yaml(yaml_text, file_name.string()), overrides);
}

CompareSpec load_compare_spec(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return parse_compare_spec(read_yaml_file(path), path, overrides);
}

}  // namespace moelora::config
