// The file of a comparison: what it shares, its sweeps, and the one message that each mistake gets.
#include "config/compare_spec.h"

#include <gmock/gmock.h>

#include "config/load.h"
#include "core/error.h"

namespace moelora::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// In three lines, so that what follows begins in line 4.
const std::string kHead = "config: run.yaml\nmethods:\n  moelora: {adapter.method: moelora}\n";

std::vector<std::string> messages_of(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  std::vector<std::string> messages;
  try {
    parse_compare_spec(yaml, "spec.yaml", overrides);
  } catch (const ErrorList& list) {
    EXPECT_EQ(list.exit_code(), static_cast<int>(ErrorKind::kConfig));
    for (const Error& error : list.errors()) messages.emplace_back(error.what());
  }
  return messages;
}

TEST(CompareSpec, ListsAreThoseOfTheFile) {
  const CompareSpec spec = parse_compare_spec(kHead +
                                                  "shared: {tasks: {severity: {labels: [\"acute, mild\", chronic, \"a: "
                                                  "b\", \"null\", \"#1\", \"say \\\"x\\\"\"]}}}\n",
                                              "spec.yaml");
  EXPECT_THAT(parse_config("model: m\ndata: d\n", "run.yaml", spec.shared).tasks.at("severity").labels,
              ElementsAre("acute, mild", "chronic", "a: b", "null", "#1", "say \"x\""));
}

TEST(CompareSpec, EachMistakeIsOneMessage) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"shared: {train.epoch: 1}", "spec.yaml:4:10: unknown key `train.epoch`; did you mean `epochs`?"},
      {"shared: {train: {epochs: many}}",
       "spec.yaml:4:26: wrong type for `train.epochs` (found `many`; expected a number)"},
      {"shared: {lora_rank: 4}", "spec.yaml:4:10: unknown key `lora_rank`; here it is `adapter.rank`"},
      {"shared: {adapter.rank: 4, adapter: {rank: 8}}",
       "spec.yaml:4:37: `adapter.rank` stands there twice (expected each key once)"},
      {"shared: {model: other}",
       "spec.yaml:4:10: `model` must be the same for all methods (expected a key of adapter, train, eval or tasks)"},
      {"shared: 3", "spec.yaml:4:9: `shared` needs a mapping (expected {train.epochs: 1})"},
      {"share: {}",
       "spec.yaml:4:1: unknown key `share` (expected one of config, output, results, shared, methods, reference, "
       "seeds, "
       "learning_rates, rates, sweep, test_rows, resamples); did you mean `shared`?"},
      {"  lora: {adapter.method: lra}",
       "spec.yaml:4:26: unknown value for `adapter.method` (found `lra`; expected one of moelora, uniform, molora, "
       "lora, lora_task_prompt, lora_per_task, lorahub, task_arithmetic, full); did you mean `lora`?"},
      {"  lora: {adapter.ranks: 4}", "spec.yaml:4:10: unknown key `adapter.ranks`; did you mean `rank`?"},
      {"sweep: [adapter.rank]",
       "spec.yaml:4:8: `sweep` needs a mapping (expected {adapter.rank: [8, 16]}, or points with names: {small: "
       "{adapter.rank: 8, adapter.alpha: 16}})"},
      {"sweep: {adapter.rank: 8}",
       "spec.yaml:4:23: `adapter.rank` needs a list of values, or, as the name of a point, a mapping (found 8; "
       "expected "
       "[a, b] or {adapter.rank: 8, adapter.alpha: 16})"},
      {"sweep: {adapter: {rank: [8, 16]}}",
       "spec.yaml:4:9: `adapter` is a key of the configuration, and stands for no point (expected adapter.<key>: [a, "
       "b], or a name of its own for the point)"},
      {"sweep: {adapter.rnk: [8, 16]}", "spec.yaml:4:9: unknown key `adapter.rnk`; did you mean `rank`?"},
      {"sweep: {adapter.rank: [8, 8]}", "spec.yaml:4:23: `adapter.rank` names a value twice (expected each once)"},
      {"sweep: {small: {adapter.rnk: 8}}", "spec.yaml:4:17: unknown key `adapter.rnk`; did you mean `rank`?"},
      {"sweep: {small: {adapter.rank: 8}, small: {adapter.rank: 16}}",
       "spec.yaml:4:35: the point `small` stands there twice (expected each once)"},
      {"sweep: {small: {adapter.rank: 8}, adapter.rank: [8, 16]}",
       "spec.yaml:4:35: `sweep` decides `adapter.rank`, as does `sweep` (expected one of them)"},
      {"rates: [search.yaml]\nlearning_rates: [1.0e-3, 1.0e-2]",
       "spec.yaml:1:1: `rates` names searches that are done, and `learning_rates` is another (expected one of them)"},
      {"sweep: {train.learning_rate: [1.0e-3, 1.0e-2]}\nlearning_rates: [1.0e-3, 1.0e-2]",
       "spec.yaml:4:9: `sweep` decides `train.learning_rate`, as does `learning_rates` (expected one of them)"},
      {"  lora: {adapter: {method: lora, rank: 2}}\nsweep: {adapter.rank: [8, 16]}",
       "spec.yaml:4:3: the method `lora` decides `adapter.rank`, as does `sweep` (expected one of them); `shared` "
       "holds "
       "what a sweep or a grid may decide anew"},
      {"  lora: {train.learning_rate: 0.1}\nlearning_rates: [1.0e-3, 1.0e-2]",
       "spec.yaml:4:3: the method `lora` decides `train.learning_rate`, as does `learning_rates` (expected one of "
       "them); `shared` holds what a sweep or a grid may decide anew"},
  };
  for (const auto& [yaml, message] : cases) EXPECT_THAT(messages_of(kHead + yaml + "\n"), ElementsAre(message)) << yaml;
}

TEST(CompareSpec, EachMistakeOfTheCommandLineIsOneMessage) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"sead=1", "--sead: unknown key `sead`"},
      {"seeds=x", "--seeds: `seeds` holds what isn't a whole number (found x; expected 0 or more)"},
      {"seeds=[1", "--seeds"},
      {"resamples=9000000000000000000",
       "--resamples: `resamples` holds a number out of its bounds (found 9000000000000000000; expected 100 to "
       "1000000)"},
      {"resamples=[1]", "--resamples: `resamples` needs one value (expected text)"},
      {"train.epochs=1", "--train.epochs: a comparison has no such key"},
      {"tasks.a.max_rows=1", "`shared.tasks.a.max_rows` is that of all methods"},
      {"shared.train.epoch=1", "--shared.train.epoch: unknown key `train.epoch`; did you mean `epochs`?"},
      {"shared.train.epochs", "--shared.train.epochs: wrong type for `train.epochs`"},
      {"reference=other", "the reference `other` is none of the methods"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_THAT(messages_of(kHead, {text}), ElementsAre(HasSubstr(message))) << text;
}

TEST(CompareSpec, OverridesStandForWholeKeysAndAddToWhatIsShared) {
  const CompareSpec spec = parse_compare_spec(
      kHead + "results: here\nseeds: [1, 2]\nshared: {train.epochs: 1, train.batch_size: 8}\n", "folder/spec.yaml",
      {"seeds=7", "results=there", "shared.train.epochs=2", "test_rows=4", "learning_rates=[0.1, 0.2]"});
  EXPECT_EQ(spec.seeds, std::vector<uint64_t>{7});
  EXPECT_EQ(spec.results, "there") << "relative to the working directory";
  EXPECT_EQ(spec.config, "folder/run.yaml");
  EXPECT_EQ(spec.test_rows, 4);
  EXPECT_THAT(spec.learning_rates, ElementsAre("0.1", "0.2"));
  EXPECT_THAT(spec.shared, ElementsAre("train.epochs=1", "train.batch_size=8", "train.epochs=2"));
  EXPECT_THAT(parse_compare_spec(kHead, "spec.yaml", {"shared.train.epochs=2", "shared={train.batch_size: 8}"}).shared,
              ElementsAre("train.batch_size=8", "train.epochs=2"));
  EXPECT_THAT(messages_of(kHead, {"seeds=1", "seeds=1"}), ElementsAre(HasSubstr("--seeds: `seeds` is given twice")));
}

TEST(CompareSpec, ANullIsNoTextAndATextMayBeginWithABracket) {
  const CompareSpec spec = parse_compare_spec(
      kHead + "shared: {tasks.a.group: ~, tasks.b.prompt: '[x] say', tasks.c.prompt: null}\n", "spec.yaml");
  const RunConfig config = parse_config("model: m\ndata: d\ntasks: {a: {group: g}}\n", "run.yaml", spec.shared);
  EXPECT_EQ(config.tasks.at("a").group, std::nullopt);
  EXPECT_EQ(config.tasks.at("b").prompt, "[x] say");
  EXPECT_EQ(config.tasks.at("c").prompt, std::nullopt);
  EXPECT_THAT(messages_of(kHead + "shared: {tasks.a.prompt: 'null'}\n"),
              ElementsAre(HasSubstr("the text `null` can't be a comparison's value")));
  EXPECT_THAT(messages_of(kHead + "shared: {tasks.a.prompt: [x, y]}\n"),
              ElementsAre(HasSubstr("wrong type for `tasks.a.prompt` (found a list; expected text)")));
  const CompareSpec flags = parse_compare_spec(
      kHead, "spec.yaml", {"shared.tasks.a.group=null", "shared.tasks.b.prompt=[x] say", "shared.adapter.rank=2"});
  EXPECT_THAT(flags.shared, ElementsAre("tasks.a.group=null", "tasks.b.prompt=[x] say", "adapter.rank=2"));
}

TEST(CompareSpec, PointsWithNamesAreOneDimensionBesideTheKeysWithValues) {
  const CompareSpec spec = parse_compare_spec(
      kHead + "sweep: {eval.rows: [5, 6], small: {adapter: {rank: 8, alpha: 16}}, as it is: {}}\n", "spec.yaml");
  ASSERT_EQ(spec.sweeps.size(), 2u);
  EXPECT_EQ(spec.sweeps[0][0].name, "small");
  EXPECT_THAT(spec.sweeps[0][0].overrides, ElementsAre("adapter.rank=8", "adapter.alpha=16"));
  EXPECT_THAT(spec.sweeps[0][1].overrides, ElementsAre());
  EXPECT_EQ(spec.sweeps[1][1].name, "eval.rows=6");
  EXPECT_THAT(spec.sweeps[1][1].overrides, ElementsAre("eval.rows=6"));
}

}  // namespace
}  // namespace moelora::config
