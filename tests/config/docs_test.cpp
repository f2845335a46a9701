// docs/config.md says what the schema says: every key with its type, default and range, and no other key.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "config/load.h"
#include "core/temporary_directory.h"

namespace moelora::config {
namespace {

const char* const kDocs = "docs/config.md";

/// The row that the document must hold for a key.
std::string row_of(const KeySchema& key) {
  const std::string value = key.default_value.empty() ? "" : "`" + key.default_value + "`";
  const std::string type = key.range.empty() ? key.type : key.type + ", " + key.range;
  return "| `" + key.key + "` | " + type + " | " + value + " | " + key.description + " |";
}

TEST(ConfigDocs, HoldEveryKeyWithTypeDefaultAndMeaning) {
  std::istringstream docs(moelora::test::read_file(kDocs));
  std::map<std::string, std::string> rows;
  std::string line;
  while (std::getline(docs, line)) {
    // A row of a table of keys: "| `key` | type | default | meaning |".
    const size_t end = line.find("` | ");
    if (line.starts_with("| `") && std::count(line.begin(), line.end(), '|') == 5) rows[line.substr(3, end - 3)] = line;
  }
  ASSERT_FALSE(rows.empty()) << "no table in " << kDocs;
  for (const KeySchema& key : schema()) {
    EXPECT_EQ(rows[key.key], row_of(key));
    rows.erase(key.key);
  }
  for (const auto& [key, row] : rows) ADD_FAILURE() << "not a key: " << row;
}

TEST(ConfigDocs, ShowConfigurationsThatAreValid) {
  const std::string docs = moelora::test::read_file(kDocs);
  int examples = 0;
  for (size_t start = docs.find("```yaml\n"); start != std::string::npos; start = docs.find("```yaml\n", start)) {
    start += 8;
    const size_t end = docs.find("```", start);
    EXPECT_NO_THROW(parse_config(docs.substr(start, end - start), kDocs)) << docs.substr(start, end - start);
    start = end;
    ++examples;
  }
  EXPECT_GE(examples, 2);
}

TEST(ConfigDocs, TheFullExampleIsTheDefaults) {
  const std::string docs = moelora::test::read_file(kDocs);
  const size_t start = docs.rfind("```yaml\n") + 8;
  RunConfig config = parse_config(docs.substr(start, docs.find("```", start) - start), "run.yaml");
  RunConfig defaults;
  defaults.model = config.model;
  defaults.output = config.output;
  defaults.data.sources = config.data.sources;
  defaults.tasks = config.tasks;
  defaults.chat_template.options = config.chat_template.options;
  EXPECT_EQ(to_yaml(config), to_yaml(defaults));
}

TEST(Schema, DescribesEveryKeyOnceInASentence) {
  std::map<std::string, int> seen;
  for (const KeySchema& key : schema()) {
    EXPECT_EQ(++seen[key.key], 1) << key.key;
    EXPECT_FALSE(key.type.empty()) << key.key;
    EXPECT_TRUE(key.description.ends_with('.')) << key.key;
    EXPECT_EQ(key.description.find('|'), std::string::npos) << key.key;
  }
}

}  // namespace
}  // namespace moelora::config
