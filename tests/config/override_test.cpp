#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/parse.h"
#include "config/task_name.h"
#include "core/temporary_directory.h"

namespace moelora::config {
namespace {

using test::kMinimal;
using test::messages_of;
using testing::ElementsAre;

RunConfig with(const std::vector<std::string>& overrides, const std::string& yaml = {}) {
  return parse_config(kMinimal + yaml, "run.yaml", overrides);
}

TEST(Override, WinsOverTheFileAndALaterOneOverAnEarlier) {
  const std::string yaml = "train: {learning_rate: 1e-4, seed: 1}\n";
  EXPECT_EQ(with({"--train.learning_rate=1e-3"}, yaml).train.learning_rate, 1e-3);
  EXPECT_EQ(with({"train.seed=2", "train.seed=3"}, yaml).train.seed, 3u);
  EXPECT_EQ(with({"adapter.method=lora"}, "adapter: {method: moelora}").adapter.method, Method::kLora);
}

TEST(Override, TakesTextAsItStands) {
  EXPECT_EQ(with({"--template.system=You are: \"x\" # y"}).chat_template.system, "You are: \"x\" # y");
  EXPECT_EQ(with({"--template.system="}, "template: {system: x}").chat_template.system, "");
  EXPECT_EQ(with({"--output=a=b"}).output, "a=b");
  EXPECT_EQ(with({"--template.system=[x] {y"}).chat_template.system, "[x] {y");
  EXPECT_EQ(with({"--tasks.a.b.prompt=[任务] x"}).tasks.at("a.b").prompt, "[任务] x");
}

TEST(Override, ReadsListsAndMappingsAsYaml) {
  EXPECT_THAT(with({"--adapter.targets=[q_proj, v_proj]"}).adapter.targets, ElementsAre("q_proj", "v_proj"));
  EXPECT_EQ(with({"--adapter={method: lora, rank: 3}"}, "adapter: {alpha: 5}").adapter.rank, 3);
  EXPECT_EQ(with({"--data=[/a, {path: /b, split: test}]"}).data.sources[1].split, "test");
}

TEST(Override, ReachesTasksAndTemplateOptions) {
  const RunConfig config = with({"--tasks.a.b.metric=rouge_l", "--tasks.c={max_rows: 3}", "--template.options.x=false",
                                 "--template.options.y=null"},
                                "tasks: {a.b: {max_rows: 5}}\ntemplate: {options: {x: true, z: 1}}\n");
  EXPECT_EQ(config.tasks.at("a.b"), (TaskConfig{.metric = "rouge_l", .max_rows = 5}));
  EXPECT_EQ(config.tasks.at("c").max_rows, 3);
  EXPECT_EQ(config.chat_template.options,
            (std::map<std::string, std::string>{{"x", "false"}, {"y", "null"}, {"z", "1"}}));
}

TEST(Override, TakesPathsFromTheWorkingDirectory) {
  const RunConfig config = parse_config(kMinimal, "conf/run.yaml", {"--data=d", "--model=docs"});
  EXPECT_EQ(config.data.sources[0].path, (std::filesystem::current_path() / "d").string());
  EXPECT_EQ(config.model, (std::filesystem::current_path() / "docs").string());
}

TEST(Override, CanGiveWhatTheFileLacks) {
  EXPECT_EQ(messages_of("{}", {"--model=m", "--data=d"}), std::vector<std::string>());
}

TEST(Override, ErrorsNameTheFlag) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"--train.sed=3", "--train.sed: unknown key `train.sed`; did you mean `seed`?"},
      {"--seed=3", "--seed: unknown key `seed`; did you mean `train.seed`?"},
      {"--lora_rank=3", "--lora_rank: unknown key `lora_rank`; here it is `adapter.rank`"},
      {"--trian.seed=3", "--trian.seed: unknown key `trian.seed`; did you mean `train.seed`?"},
      {"--train.seed", "--train.seed: has no value (expected --train.seed=VALUE)"},
      {"--train.seed=x", "--train.seed: wrong type for `train.seed` (found `x`; expected an integer of at least 0)"},
      {"--train.seed=",
       "--train.seed: wrong type for `train.seed` (found the text \"\"; expected an integer of at least 0)"},
      {"--train.epochs=-1", "--train.epochs: `train.epochs` is out of range (found -1; expected > 0 and <= 1000000)"},
      {"--adapter.method=dora",
       "--adapter.method: unknown value for `adapter.method` (found `dora`; expected one of moelora, "
       "uniform, molora, lora, lora_task_prompt, lora_per_task, lorahub, task_arithmetic, full); did you mean `lora`?"},
      {"--adapter.experts=5",
       "--adapter.experts: `adapter.rank` is not a multiple of `adapter.experts` (found rank 16, "
       "experts 5); try experts: 4 or rank: 20"},
      {"--adapter.targets=q_proj,v_proj",
       "--adapter.targets: `adapter.targets` holds several names in one (found "
       "`q_proj,v_proj`); write a list: [q_proj, v_proj]"},
      {"--tasks.a.metrc=x", "--tasks.a.metrc: unknown key `tasks.a.metrc`; did you mean `metric`?"},
      {"--tasks.a=x", "--tasks.a: wrong type for `tasks.a` (found `x`; expected a mapping such as {metric: macro_f1})"},
      {"--tasks.a/b.metric=x",
       "--tasks.a/b.metric: not a usable name for a task (found `a/b`; expected at most 100 bytes; no space, control "
       "character, `/`, `\\` or `:`; no `.` or `-` first; neither `mean` nor `per_task`)"},
      {"", "--: has no value (expected --=VALUE)"},
  };
  for (const auto& [text, message] : table) EXPECT_THAT(messages_of(kMinimal, {text}), ElementsAre(message)) << text;
  EXPECT_EQ(messages_of(kMinimal, {"--adapter.targets=[a"}).size(), 1u);
}

TEST(TaskName, CanBeADirectoryAndAServedModel) {
  for (const char* name : {"CHIP-CTC_v2.1", "医学", "a"}) EXPECT_TRUE(is_task_name(name)) << name;
  for (const std::string& name :
       {std::string(), std::string(101, 'a'), std::string("\xFF"), std::string("mean"), std::string("per_task"),
        std::string("../x"), std::string("-rf"), std::string("a b"), std::string("a:b"), std::string("a\\b")}) {
    EXPECT_FALSE(is_task_name(name)) << name;
    EXPECT_NE(messages_of(kMinimal, {"--tasks." + name + ".max_rows=3"}), std::vector<std::string>{}) << name;
  }
}

}  // namespace
}  // namespace moelora::config
