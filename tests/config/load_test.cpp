#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "config/parse.h"
#include "core/temporary_directory.h"

namespace moelora::config {
namespace {

using moelora::test::TemporaryDirectory;
using moelora::test::write_file;
using test::kMinimal;

TEST(LoadConfig, OfTheShortestFileIsTheDefaults) {
  const RunConfig config = parse_config("model: Qwen/Qwen3-4B\ndata: data/\n", "conf/first.yaml");
  RunConfig expected;
  expected.model = "Qwen/Qwen3-4B";
  expected.data.sources = {{.path = (std::filesystem::current_path() / "conf/data").string()}};
  expected.output = "runs/first";
  EXPECT_EQ(config, expected);
}

TEST(LoadConfig, OtherSpellingsOfADtypeAreResolved) {
  for (const auto& [spelling, name] : std::map<std::string, std::string>{
           {"f32", "float32"}, {"fp32", "float32"}, {"float32", "float32"}, {"bf16", "bfloat16"}}) {
    const RunConfig in_file = parse_config(std::string(kMinimal) + "train: {dtype: " + spelling + "}\n", "run.yaml");
    EXPECT_THAT(to_yaml(in_file), testing::HasSubstr("  dtype: " + name + "\n")) << spelling;
    EXPECT_EQ(parse_config(kMinimal, "run.yaml", {"--train.dtype=" + spelling}), in_file) << spelling;
  }
}

TEST(LoadConfig, ReadsEveryKindOfValue) {
  const RunConfig config = parse_config(R"(
model: m
random_init: True
output: somewhere else
data:
  sources:
    - plain
    - {path: /absolute/x.jsonl, task: report, format: messages, split: test}
  max_length: 2048
  overflow: cut_head
  allow_overlap: true
tasks:
  criterion: {metric: macro_f1, labels: [yes, 1, "two words"]}
  报告: {metric: rouge_l, overflow: drop, prompt: "请总结：", max_new_tokens: 300, max_rows: 10}
  empty:
template:
  chat: false
  system: |
    Two
    lines
  options: {enable_thinking: false, depth: 3, share: 0.5, name: "false", none: ~}
adapter:
  method: full
  alpha: 8
  targets: q_proj
  gate: {scope: per_layer, normalise: mean_one}
train: {tokens_per_batch: +4096, learning_rate: 1E-3, seed: 18446744073709551615}
eval:
)",
                                        "run.yaml");
  EXPECT_TRUE(config.random_init);
  EXPECT_EQ(config.output, "somewhere else");
  EXPECT_EQ(config.data.sources[0], (DataSource{.path = (std::filesystem::current_path() / "plain").string()}));
  EXPECT_EQ(config.data.sources[1],
            (DataSource{.path = "/absolute/x.jsonl", .task = "report", .format = "messages", .split = "test"}));
  EXPECT_EQ(config.data.overflow, Overflow::kCutHead);
  EXPECT_TRUE(config.data.allow_overlap);
  EXPECT_EQ(config.tasks.at("criterion").labels, (std::vector<std::string>{"yes", "1", "two words"}));
  EXPECT_EQ(config.tasks.at("报告"), (TaskConfig{.metric = "rouge_l",
                                                 .overflow = Overflow::kDrop,
                                                 .prompt = "请总结：",
                                                 .max_new_tokens = 300,
                                                 .max_rows = 10}));
  EXPECT_EQ(config.tasks.at("empty"), TaskConfig());
  EXPECT_FALSE(config.chat_template.chat);
  EXPECT_EQ(config.chat_template.system, "Two\nlines\n");
  EXPECT_EQ(
      config.chat_template.options,
      (std::map<std::string, std::string>{
          {"enable_thinking", "false"}, {"depth", "3"}, {"share", "0.5"}, {"name", "\"false\""}, {"none", "null"}}));
  EXPECT_EQ(config.adapter.method, Method::kFull);
  EXPECT_EQ(config.adapter.alpha, 8);
  EXPECT_EQ(config.adapter.targets, std::vector<std::string>{"q_proj"});
  EXPECT_EQ(config.adapter.gate.scope, GateScope::kPerLayer);
  EXPECT_EQ(config.adapter.gate.normalise, GateNormalise::kMeanOne);
  EXPECT_EQ(config.train.tokens_per_batch, 4096);
  EXPECT_EQ(config.train.learning_rate, 1e-3);
  EXPECT_EQ(config.train.seed, ~uint64_t{0});
}

TEST(LoadConfig, IgnoresExpertsWhereTheMethodHasNone) {
  EXPECT_NO_THROW(parse_config(std::string(kMinimal) + "adapter: {method: lora, rank: 16, experts: 3}", "run.yaml"));
  EXPECT_NO_THROW(parse_config(std::string(kMinimal) + "adapter: {method: full, rank: 16, experts: 3}", "run.yaml"));
}

TEST(LoadConfig, TakesPathsFromTheFilesDirectoryAndNamesFromTheCache) {
  TemporaryDirectory place;
  std::filesystem::create_directories(place.path() / "conf/models/small");
  write_file(place.path() / "conf/run.yaml", "model: models/small/\ndata: [../data/, {path: x.jsonl}]\n");
  const RunConfig config = load_config(place.path() / "conf/run.yaml");
  EXPECT_EQ(config.model, (place.path() / "conf/models/small").string());
  EXPECT_EQ(config.data.sources[0].path, (place.path() / "data").string());
  EXPECT_EQ(config.data.sources[1].path, (place.path() / "conf/x.jsonl").string());

  write_file(place.path() / "conf/run.yaml", "model: org/name\ndata: d\n");
  EXPECT_EQ(load_config(place.path() / "conf/run.yaml").model, "org/name");
  write_file(place.path() / "conf/run.yaml", "model: ./org/name\ndata: d\n");
  EXPECT_EQ(load_config(place.path() / "conf/run.yaml").model, (place.path() / "conf/org/name").string());
}

TEST(LoadConfig, NamesAFileThatCantBeRead) {
  for (const char* path : {"no/such/run.yaml", "."}) {
    try {
      load_config(path);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
      EXPECT_EQ(error.details().where, path);
    }
  }
}

}  // namespace
}  // namespace moelora::config
