#include "config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/utf8.h"

namespace moelora::config {
namespace {

Error yaml_error(const std::string& file_name, const YAML::Mark& mark, std::string problem, std::string hint = {}) {
  std::string where = file_name;
  if (!mark.is_null()) where += ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
  return Error(ErrorKind::kConfig, {.where = where, .problem = std::move(problem), .hint = std::move(hint)});
}

/// Where byte `offset` stands, for errors found before the YAML is read.
YAML::Mark mark_at(std::string_view text, size_t offset) {
  YAML::Mark mark;
  const std::string_view before = text.substr(0, offset);
  mark.pos = static_cast<int>(offset);
  mark.line = static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  const size_t newline = before.rfind('\n');
  mark.column = static_cast<int>(newline == std::string_view::npos ? offset : offset - newline - 1);
  return mark;
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& file_name) : file_name_(file_name) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { leaf(node(YamlNode::Kind::kNull, mark)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw yaml_error(file_name_, mark, "aliases (*name) are not accepted", "write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    YamlNode scalar = node(YamlNode::Kind::kScalar, mark);
    scalar.quoted = tag == "!";  // yaml-cpp: "!" for quoted and block scalars, "?" for plain ones
    if (!scalar.quoted && (value == "~" || value == "null" || value == "Null" || value == "NULL")) {
      scalar.kind = YamlNode::Kind::kNull;
    }
    scalar.scalar = value;
    leaf(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(node(YamlNode::Kind::kList, mark));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(node(YamlNode::Kind::kMap, mark));
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    YamlNode node;
    YamlNode key;  // of a map: the key that waits for its value
    bool has_key = false;
  };

  static YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark) {
    return {.kind = kind, .line = mark.line + 1, .column = mark.column + 1};
  }
  void open(YamlNode node) {
    if (levels_.size() >= kDeepestYaml) {
      throw Error(ErrorKind::kConfig,
                  {.where = file_name_ + ":" + std::to_string(node.line) + ":" + std::to_string(node.column),
                   .problem = "nested deeper than " + std::to_string(kDeepestYaml) + " levels"});
    }
    levels_.push_back({.node = std::move(node)});
  }
  void close() {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    leaf(std::move(node));
  }
  void leaf(YamlNode node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.is_list()) {
      level.node.items.push_back(std::move(node));
    } else if (level.has_key) {
      if (node.is_null()) {  // nothing stands there to point at
        node.line = level.key.line;
        node.column = level.key.column;
      }
      level.node.pairs.push_back({std::move(level.key), std::move(node)});
      level.has_key = false;
    } else {
      level.key = std::move(node);
      level.has_key = true;
    }
  }

  const std::string& file_name_;
  std::vector<Level> levels_;
  YamlNode root_;
};

}  // namespace

std::string read_yaml_file(const std::filesystem::path& path) {
  const auto unreadable = [&](std::string problem) {
    return Error(ErrorKind::kConfig, {.where = path.string(), .problem = std::move(problem)});
  };
  std::error_code ignored;  // what it says, opening does too
  if (std::filesystem::is_directory(path, ignored)) throw unreadable("is a directory, not a file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw unreadable(std::string("can't open the file: ") + std::strerror(errno));
  std::string text(kLargestYaml + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) throw unreadable("can't be read to its end");
  return text;
}

YamlNode parse_yaml(std::string_view text, const std::string& file_name) {
  if (text.size() > kLargestYaml) {
    throw Error(ErrorKind::kConfig, {.where = file_name,
                                     .problem = "too large for a configuration",
                                     .found = std::to_string(text.size()) + " bytes",
                                     .expected = "at most " + std::to_string(kLargestYaml)});
  }
  if (const auto offset = first_invalid_utf8(text)) {
    throw yaml_error(file_name, mark_at(text, *offset), "not valid UTF-8", "save the file as UTF-8");
  }
  if (const size_t offset = text.find('\0'); offset != std::string_view::npos) {
    throw yaml_error(file_name, mark_at(text, offset), "a NUL byte", "is this a YAML file?");
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(file_name);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take();
    TreeBuilder second(file_name);
    if (parser.HandleNextDocument(second)) {
      const YamlNode extra = second.take();
      YAML::Mark mark;
      mark.line = extra.line - 1;
      mark.column = extra.column - 1;
      throw yaml_error(file_name, mark, "a second YAML document begins here", "one file is one configuration");
    }
    return root;
  } catch (const YAML::Exception& error) {
    throw yaml_error(file_name, error.mark, "not valid YAML: " + error.msg);
  }
}

}  // namespace moelora::config
