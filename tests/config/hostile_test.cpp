// Texts that aren't a configuration, and those made to hurt a parser: an error with a place, quickly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "config/parse.h"
#include "core/random.h"

namespace moelora::config {
namespace {

using test::kMinimal;
using test::messages_of;
using testing::ElementsAre;
using testing::HasSubstr;

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(HostileYaml, IsRefusedWithAPlace) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"model: [a", "run.yaml:"},
      {"model: m\n\tdata: d", "run.yaml:2:"},
      {"model: 'm", "run.yaml:"},
      {"model: m\n---\ndata: d\n", "run.yaml:3:1: a second YAML document begins here"},
      {"- a\n- b\n", "run.yaml:1:1: the configuration is not a mapping (found a list"},
      {"just text", "run.yaml:1:1: the configuration is not a mapping"},
      {"model: m\ndata: \xff\n", "run.yaml:2:7: not valid UTF-8"},
      {std::string("model: m\0data: d", 16), "run.yaml:1:9: a NUL byte"},
      {"model: &a m\ndata: *a\n", "run.yaml:2:7: aliases (*name) are not accepted"},
      {"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "run.yaml:2:8: aliases (*name) are not accepted"},
      {"a: &a {b: *a}\n", "run.yaml:1:11: aliases (*name) are not accepted"},
      {"model: *nowhere\n", "run.yaml:1:"},
      {std::string((1 << 20) + 1, '#'), "run.yaml: too large for a configuration"},
  };
  for (const auto& [yaml, message] : table) {
    EXPECT_THAT(messages_of(yaml), ElementsAre(HasSubstr(message))) << yaml.substr(0, 60);
  }
}

TEST(HostileYaml, OfGreatDepthIsRefusedQuickly) {
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& yaml : {repeated("[", 500000), repeated("{a: ", 200000), repeated("- ", 200000),
                                  repeated("? ", 200000), repeated("[[],", 200000)}) {
    EXPECT_EQ(messages_of(yaml).size(), 1u) << yaml.substr(0, 10);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(HostileYaml, EmptyMeansThatEverythingIsMissing) {
  for (const char* yaml : {"", "\n", "# only a comment\n", "{}", "---\n"})
    EXPECT_EQ(messages_of(yaml).size(), 2u) << yaml;
}

TEST(HostileYaml, WithAByteOrderMarkOrWindowsLinesIsFine) {
  EXPECT_THAT(messages_of("\xef\xbb\xbfmodel: m\r\ndata: d\r\n"), ElementsAre());
}

TEST(HostileYaml, ManglingAConfigurationNeverDoesWorseThanErrors) {
  const std::string good =
      to_yaml(parse_config(std::string(kMinimal) + "tasks: {a: {labels: [x, \"y z\"]}}\n", "run.yaml"));
  Random random(3, RandomStream::kData);
  const std::string bytes = "[]{}:,-#&*!|>'\"%@`\n\t ?~0\xc3";
  int refused = 0;
  constexpr int kMutants = 3000;
  for (int i = 0; i < kMutants; ++i) {
    std::string bad = good;
    for (uint64_t edits = 1 + random.below(4); edits > 0; --edits) {
      const size_t at = random.below(bad.size());
      const uint64_t kind = random.below(3);
      if (kind == 0) bad[at] = bytes[random.below(bytes.size())];
      if (kind == 1) bad.erase(at, 1 + random.below(20));
      if (kind == 2) bad.insert(at, 1, bytes[random.below(bytes.size())]);
    }
    refused += messages_of(bad).empty() ? 0 : 1;  // any other exception fails the test
  }
  EXPECT_GT(refused, kMutants / 2);
}

}  // namespace
}  // namespace moelora::config
