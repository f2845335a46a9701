// `preset: paper` is what docs/config.md lists, and every key that is given wins over it.
#include <gtest/gtest.h>

#include "config/parse.h"
#include "core/temporary_directory.h"

namespace moelora::config {
namespace {

using test::kMinimal;
using test::messages_of;

RunConfig paper(const std::string& yaml = {}, const std::vector<std::string>& overrides = {}) {
  return parse_config(kMinimal + ("preset: paper\n" + yaml), "run.yaml", overrides);
}

TEST(PaperPreset, IsThePublishedRecipe) {
  const RunConfig config = paper();
  EXPECT_EQ(config.adapter.method, Method::kMoelora);
  EXPECT_EQ(config.adapter.rank, 16);
  EXPECT_EQ(config.adapter.alpha, 32);
  EXPECT_EQ(config.adapter.experts, 8);
  EXPECT_EQ(config.adapter.dropout, 0.1);
  EXPECT_EQ(config.adapter.init_a, InitA::kNormal);
  EXPECT_EQ(config.adapter.gate.normalise, GateNormalise::kSumOne);
  EXPECT_EQ(config.train.max_steps, 8000);
  EXPECT_EQ(config.train.batch_size, 64);
  EXPECT_EQ(config.train.learning_rate, 2e-4);
}

TEST(PaperPreset, IsTheListInTheDocumentation) {
  const std::string docs = moelora::test::read_file("docs/config.md");
  const size_t start = docs.find("```yaml\npreset: paper") + 8;
  ASSERT_NE(start, std::string::npos + 8);
  const std::string listed = docs.substr(start, docs.find("```", start) - start);
  RunConfig given = parse_config(listed, "run.yaml", {"--preset=none"});
  const RunConfig preset = parse_config("preset: paper\nmodel: THUDM/chatglm2-6b\ndata: data/\n", "run.yaml");
  given.preset = Preset::kPaper;
  EXPECT_EQ(to_yaml(given), to_yaml(preset));
}

TEST(PaperPreset, GivesWayToKeysOfTheFileAndToFlagsWhereverItStands) {
  EXPECT_EQ(paper("adapter: {dropout: 0}\n").adapter.dropout, 0);
  EXPECT_EQ(paper("adapter: {dropout: 0}\n").adapter.init_a, InitA::kNormal);
  const RunConfig flagged = parse_config(kMinimal + std::string("train: {batch_size: 8}\n"), "run.yaml",
                                         {"--adapter.experts=4", "--preset=paper"});
  EXPECT_EQ(flagged.adapter.experts, 4);
  EXPECT_EQ(flagged.train.batch_size, 8);
  EXPECT_EQ(flagged.adapter.dropout, 0.1);
}

TEST(PaperPreset, LeavesTheNumberOfStepsToEpochsThatAreGiven) {
  EXPECT_EQ(paper("train: {epochs: 2}\n").train.max_steps, 0);
  EXPECT_EQ(paper("", {"--train.epochs=2"}).train.max_steps, 0);
  EXPECT_EQ(paper("train: {epochs: 2, max_steps: 10}\n").train.max_steps, 10);
}

TEST(PaperPreset, IsWrittenOutInTheResolvedConfiguration) {
  const RunConfig config = paper("train: {epochs: 2}\n");
  const std::string yaml = to_yaml(config);
  EXPECT_NE(yaml.find("init_a: normal"), std::string::npos);
  EXPECT_TRUE(parse_config(yaml, "run.yaml") == config);
}

TEST(PaperPreset, IsCheckedLikeAnyConfigurationAndReportsAnErrorOnce) {
  EXPECT_EQ(messages_of(kMinimal + std::string("preset: paper\nadapter: {rank: 12}\n")).size(), 1u);
  const auto unknown = messages_of(kMinimal + std::string("preset: papr\n"));
  ASSERT_EQ(unknown.size(), 1u);
  EXPECT_NE(unknown[0].find("paper"), std::string::npos) << unknown[0];
}

}  // namespace
}  // namespace moelora::config
