// YAML text -> a bounded tree that remembers where everything stood. Internal to src/config.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace moelora::config {

struct YamlPair;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  int line = 0;  // from 1; 0 where the text has no place (an override)
  int column = 0;
  std::string scalar;
  bool quoted = false;          // "3" is text, 3 is a number
  std::vector<YamlNode> items;  // of a list
  std::vector<YamlPair> pairs;  // of a map, in order, duplicates included; keys may be of any kind

  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
};

struct YamlPair {
  YamlNode key;
  YamlNode value;
};

inline constexpr size_t kLargestYaml = 1 << 20;  // bytes
inline constexpr size_t kDeepestYaml = 32;       // levels

/// A file's text, of which one byte more than parse_yaml takes is read. Throws Error (kConfig) where it can't be read.
std::string read_yaml_file(const std::filesystem::path& path);

/// Throws Error (kConfig) with file:line:column for text that is not one YAML document in UTF-8, is larger or deeper
/// than the bounds, or uses aliases (a few of them can stand for millions of values).
YamlNode parse_yaml(std::string_view text, const std::string& file_name);

}  // namespace moelora::config
