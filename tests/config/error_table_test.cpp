// Every wrong configuration and the one message it gets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/parse.h"

namespace moelora::config {
namespace {

using test::kMinimal;
using test::messages_of;

struct Case {
  std::string yaml;  // after `model: m` and `data: d` in lines 1 and 2, so that it begins in line 3
  std::string message;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> table = {
      // Names.
      {"exprts: 3", "run.yaml:3:1: unknown key `exprts`; did you mean `adapter.experts`?"},
      {"adapter: {exprts: 4}", "run.yaml:3:11: unknown key `adapter.exprts`; did you mean `experts`?"},
      {"adapter:\n  gate: {embeding_size: 4}",
       "run.yaml:4:10: unknown key `adapter.gate.embeding_size`; did you mean `embedding_size`?"},
      {"trian: {seed: 1}", "run.yaml:3:1: unknown key `trian`; did you mean `train`?"},
      {"learning_rate: 1e-4", "run.yaml:3:1: unknown key `learning_rate`; did you mean `train.learning_rate`?"},
      {"batch_size: 4",
       "run.yaml:3:1: unknown key `batch_size`; did you mean `train.batch_size` or `eval.batch_size`?"},
      {"train: {rank: 4}", "run.yaml:3:9: unknown key `train.rank`; did you mean `adapter.rank`?"},
      {"checkpoint: {zzz: 1}", "run.yaml:3:14: unknown key `checkpoint.zzz` (expected one of every_steps, keep)"},
      {"tasks: {a: {metrik: f1}}", "run.yaml:3:13: unknown key `tasks.a.metrik`; did you mean `metric`?"},
      {"metric: f1", "run.yaml:3:1: unknown key `metric`; did you mean `tasks.<task>.metric`?"},
      {"train: {seed: 1, seed: 2}", "run.yaml:3:18: key `seed` is given twice; the first is in line 3"},
      {"model: other", "run.yaml:3:1: key `model` is given twice; the first is in line 1"},
      {"tasks:\n  a: {metric: x}\n  a: {metric: y}", "run.yaml:5:3: key `a` is given twice; the first is in line 4"},
      {"? [a]\n: 1", "run.yaml:3:3: a key that is no name (found a list)"},
      {"tasks: {a/b: {metric: x}}",
       "run.yaml:3:9: not a usable name for a task (found `a/b`; expected at most 100 bytes; no space, control "
       "character, `/`, `\\` or `:`; no `.` or `-` first; neither `mean` nor `per_task`)"},
      // Names from elsewhere.
      {"lora_rank: 8", "run.yaml:3:1: unknown key `lora_rank`; here it is `adapter.rank`"},
      {"adapter: {r: 8}", "run.yaml:3:11: unknown key `adapter.r`; here it is `adapter.rank`"},
      {"adapter: {lora_alpha: 8}", "run.yaml:3:11: unknown key `adapter.lora_alpha`; here it is `adapter.alpha`"},
      {"adapter: {target_modules: [q_proj]}",
       "run.yaml:3:11: unknown key `adapter.target_modules`; here it is `adapter.targets`"},
      {"lora_target: all", "run.yaml:3:1: unknown key `lora_target`; here it is `adapter.targets`"},
      {"cutoff_len: 512", "run.yaml:3:1: unknown key `cutoff_len`; here it is `data.max_length`"},
      {"output_dir: x", "run.yaml:3:1: unknown key `output_dir`; here it is `output`"},
      {"model_name_or_path: x", "run.yaml:3:1: unknown key `model_name_or_path`; here it is `model`"},
      {"dataset: x", "run.yaml:3:1: unknown key `dataset`; here it is `data`"},
      {"num_train_epochs: 3", "run.yaml:3:1: unknown key `num_train_epochs`; here it is `train.epochs`"},
      {"lr_scheduler_type: cosine", "run.yaml:3:1: unknown key `lr_scheduler_type`; here it is `train.schedule`"},
      {"per_device_train_batch_size: 1",
       "run.yaml:3:1: unknown key `per_device_train_batch_size`; here it is `train.batch_size`"},
      {"report_to: none",
       "run.yaml:3:1: unknown key `report_to`; not needed: metrics.jsonl and TensorBoard events are always written"},
      {"adapter: {use_rslora: true}",
       "run.yaml:3:11: unknown key `adapter.use_rslora`; the scale is alpha / rank: for alpha / sqrt(rank) multiply "
       "`adapter.alpha` by sqrt(rank)"},
      {"neat_packing: true",
       "run.yaml:3:1: unknown key `neat_packing`; not needed: batches are always packed, without attention between "
       "samples"},
      {"train: {group_by_length: true}",
       "run.yaml:3:9: unknown key `train.group_by_length`; not needed: packed batches hold no padding, whatever the "
       "lengths"},
      {"train_on_prompt: false",
       "run.yaml:3:1: unknown key `train_on_prompt`; not needed: the loss is always of the answer and its end token "
       "alone; rows of the format `text` are learned whole"},
      {"load_best_model_at_end: true",
       "run.yaml:3:1: unknown key `load_best_model_at_end`; not needed: the best checkpoint is always what a run "
       "gives; "
       "`eval.best` says by what"},
      {"template: qwen",
       "run.yaml:3:11: wrong type for `template` (found `qwen`; expected a mapping with chat, system, options); the "
       "chat "
       "template itself comes from the model"},
      // Types.
      {"train: {epochs: three}", "run.yaml:3:17: wrong type for `train.epochs` (found `three`; expected a number)"},
      {"train: {epochs: .nan}", "run.yaml:3:17: wrong type for `train.epochs` (found `.nan`; expected a number)"},
      {"train: {epochs: inf}", "run.yaml:3:17: wrong type for `train.epochs` (found `inf`; expected a number)"},
      {"train: {epochs: 1e999}", "run.yaml:3:17: wrong type for `train.epochs` (found `1e999`; expected a number)"},
      {"train: {batch_size: 1.5}",
       "run.yaml:3:21: wrong type for `train.batch_size` (found `1.5`; expected an integer)"},
      {"train: {batch_size: 99999999999999999999}",
       "run.yaml:3:21: wrong type for `train.batch_size` (found `99999999999999999999`; expected an integer)"},
      {"train: {batch_size: \"8\"}",
       "run.yaml:3:21: wrong type for `train.batch_size` (found the text \"8\"; expected an integer); remove the "
       "quotes"},
      {"train: {batch_size: }", "run.yaml:3:9: wrong type for `train.batch_size` (found nothing; expected an integer)"},
      {"train: {seed: -1}",
       "run.yaml:3:15: wrong type for `train.seed` (found `-1`; expected an integer of at least 0)"},
      {"train: [1]",
       "run.yaml:3:8: wrong type for `train` (found a list; expected a mapping with epochs, max_steps, "
       "batch_size, tokens_per_batch, learning_rate, schedule, warmup_ratio, weight_decay, beta1, beta2, "
       "epsilon, clip, loss_normalisation, temperature, recompute, weight_layout, dtype, threads, seed, log_every, "
       "conflict_every)"},
      {"random_init: yes", "run.yaml:3:14: wrong type for `random_init` (found `yes`; expected true or false)"},
      {"adapter: {targets: {a: 1}}",
       "run.yaml:3:20: wrong type for `adapter.targets` (found a mapping; expected a list of text)"},
      {"adapter: {targets: [a, [b]]}", "run.yaml:3:24: wrong type for `adapter.targets` (found a list; expected text)"},
      {"tasks: [a]",
       "run.yaml:3:8: wrong type for `tasks` (found a list; expected a mapping from a task's name to its "
       "settings); only exceptions stand here; the tasks come from the data"},
      {"tasks: {a: macro_f1}",
       "run.yaml:3:12: wrong type for `tasks.a` (found `macro_f1`; expected a mapping such as {metric: macro_f1})"},
      {"template: {options: {a: [1]}}",
       "run.yaml:3:25: wrong type for `template.options` (found a list; expected text, a number, true, false or null)"},
      {"template: {options: {a: 1, a: 2}}", "run.yaml:3:28: option `a` is given twice for `template.options`"},
      // Values out of a list.
      {"adapter: {method: lra}",
       "run.yaml:3:19: unknown value for `adapter.method` (found `lra`; expected one of moelora, "
       "uniform, molora, lora, lora_task_prompt, lora_per_task, lorahub, task_arithmetic, full); did you mean `lora`?"},
      {"train: {schedule: cos}",
       "run.yaml:3:19: unknown value for `train.schedule` (found `cos`; expected one of linear, cosine, constant)"},
      {"train: {dtype: fp16}",
       "run.yaml:3:16: unknown value for `train.dtype` (found `fp16`; expected one of auto, float32, bfloat16)"},
      {"data2: x", "run.yaml:3:1: unknown key `data2`; did you mean `data`?"},
      // Ranges.
      {"train: {batch_size: 9223372036854775807}",
       "run.yaml:3:21: `train.batch_size` is out of range (found 9223372036854775807; expected >= 1 and <= "
       "1000000000)"},
      {"train: {epochs: 1e300}",
       "run.yaml:3:17: `train.epochs` is out of range (found 1.0e+300; expected > 0 and <= 1000000)"},
      {"adapter: {rank: 0}", "run.yaml:3:17: `adapter.rank` is out of range (found 0; expected >= 1 and <= 65536)"},
      {"adapter: {alpha: 0}", "run.yaml:3:18: `adapter.alpha` is out of range (found 0; expected > 0)"},
      {"adapter: {experts: 0}",
       "run.yaml:3:20: `adapter.experts` is out of range (found 0; expected >= 1 and <= 65536)"},
      {"adapter: {dropout: 1}", "run.yaml:3:20: `adapter.dropout` is out of range (found 1; expected >= 0 and < 1)"},
      {"train: {batch_size: 0}",
       "run.yaml:3:21: `train.batch_size` is out of range (found 0; expected >= 1 and <= 1000000000)"},
      {"train: {learning_rate: -1e-4}",
       "run.yaml:3:24: `train.learning_rate` is out of range (found -0.0001; expected > 0)"},
      {"train: {beta2: 1.0}", "run.yaml:3:16: `train.beta2` is out of range (found 1; expected >= 0 and < 1)"},
      {"checkpoint: {keep: 1}",
       "run.yaml:3:20: `checkpoint.keep` is out of range (found 1; expected >= 2 and <= 1000000000)"},
      {"tasks: {a: {max_rows: 0}}",
       "run.yaml:3:23: `tasks.a.max_rows` is out of range (found 0; expected >= 1 and <= 1000000000)"},
      // Combinations.
      {"adapter: {rank: 16, experts: 5}",
       "run.yaml:3:30: `adapter.rank` is not a multiple of `adapter.experts` (found rank "
       "16, experts 5); try experts: 4 or rank: 20"},
      {"adapter: {rank: 4}",
       "run.yaml:3:17: `adapter.rank` is not a multiple of `adapter.experts` (found rank 4, experts "
       "8); try experts: 4 or rank: 8"},
      {"random_init: true",
       "run.yaml:3:14: `random_init` needs `adapter.method: full` (found method moelora); an adapter "
       "over random weights learns nothing"},
      {"train: {tokens_per_batch: 512}",
       "run.yaml:3:27: `train.tokens_per_batch` is less than `data.max_length`: the longest row would fit no batch "
       "(found "
       "512; expected at least 1024); set train.tokens_per_batch: 1024"},
      {"adapter: {targets: []}",
       "run.yaml:3:20: `adapter.targets` is empty (expected at least one name, or all-linear)"},
      {"adapter: {targets: \"q_proj, v_proj\"}",
       "run.yaml:3:20: `adapter.targets` holds several names in one (found `q_proj, "
       "v_proj`); write a list: [q_proj, v_proj]"},
      {"tasks: {a: {labels: [x, y, x]}}", "run.yaml:3:21: `tasks.a.labels` holds a label twice (found `x`)"},
      {"eval: {best: \"\"}", "run.yaml:3:14: `eval.best` is empty (expected mean, per_task, or a task's name)"},
      {"eval: {best: per_task}\nadapter: {method: molora}",
       "run.yaml:3:14: `eval.best: per_task` needs a method whose weights are linear in the task (found method molora, "
       "whose gate sees the row; expected mean, or a task's name)"},
      {"eval: {best: per_task}\nadapter: {method: full}",
       "run.yaml:3:14: `eval.best: per_task` needs a method whose weights are linear in the task (found method full, "
       "which trains the one model that all tasks share; expected mean, or a task's name)"},
  };
  return table;
}

TEST(ConfigErrors, EachWrongConfigurationGetsItsOneMessage) {
  EXPECT_GE(cases().size(), 60u);
  for (const Case& wrong : cases()) {
    EXPECT_THAT(messages_of(kMinimal + wrong.yaml + "\n"), testing::ElementsAre(wrong.message)) << wrong.yaml;
  }
}

TEST(ConfigErrors, OfTheSourcesNameTheSource) {
  const std::vector<Case> table = {
      {"model: m", "run.yaml: `data` is missing (expected where the rows are, as `data: data/`)"},
      {"data: d", "run.yaml: `model` is missing (expected a model directory or a Hugging Face name)"},
      {"data: d\nmodel:", "run.yaml:2:1: wrong type for `model` (found nothing; expected text)"},
      {"model: m\ndata: []", "run.yaml:2:7: `data` is missing (expected where the rows are, as `data: data/`)"},
      {"model: m\ndata: {max_length: 64}",
       "run.yaml: `data` is missing (expected where the rows are, as `data: data/`)"},
      {"model: m\ndata: [{task: x}]",
       "run.yaml:2:8: `data.sources[0].path` is missing (expected a file or a directory)"},
      {"model: m\ndata: [a, [b]]",
       "run.yaml:2:11: wrong type for `data.sources[1].path` (found a list; expected a path or a mapping with `path`)"},
      {"model: m\ndata: {sources: {path: x}}",
       "run.yaml:2:17: wrong type for `data.sources` (found a mapping; expected a path or a list of sources)"},
      {"model: m\ndata: [{path: x, formt: alpaca}]",
       "run.yaml:2:18: unknown key `data.sources[0].formt`; did you mean `format`?"},
      {"model: m\ndata: [a, {path: x, format: alpca}]",
       "run.yaml:2:29: unknown value for `data.sources[1].format` (found `alpca`; expected one of promptcblue, alpaca, "
       "messages, sharegpt, completion, text); did you mean `alpaca`?"},
      {"model: m\ndata: [{path: x, split: valid}]",
       "run.yaml:2:25: unknown value for `data.sources[0].split` (found `valid`; expected one of train, dev, test)"},
  };
  for (const Case& wrong : table) {
    EXPECT_THAT(messages_of(wrong.yaml + "\n"), testing::ElementsAre(wrong.message)) << wrong.yaml;
  }
}

TEST(ConfigErrors, OfOneFileComeAllAtOnceInItsOrder) {
  const std::vector<std::string> messages = messages_of(
      "modl: m\n"
      "data: d\n"
      "adapter:\n"
      "  rank: none\n"
      "  dropout: 2\n"
      "lora_alpha: 3\n");
  EXPECT_THAT(messages,
              testing::ElementsAre(testing::HasSubstr("run.yaml: `model` is missing"),
                                   testing::HasSubstr("run.yaml:1:1: "), testing::HasSubstr("run.yaml:4:9: "),
                                   testing::HasSubstr("run.yaml:5:12: "), testing::HasSubstr("run.yaml:6:1: ")));
}

TEST(ConfigErrors, SayOfEveryKeyOfLlamaFactorysExampleWhatItIsHere) {
  for (const std::string key : {"model_name_or_path",
                                "trust_remote_code",
                                "stage",
                                "do_train",
                                "finetuning_type",
                                "lora_rank",
                                "lora_target",
                                "dataset",
                                "cutoff_len",
                                "max_samples",
                                "overwrite_cache",
                                "preprocessing_num_workers",
                                "dataloader_num_workers",
                                "output_dir",
                                "logging_steps",
                                "save_steps",
                                "plot_loss",
                                "overwrite_output_dir",
                                "save_only_model",
                                "report_to",
                                "per_device_train_batch_size",
                                "gradient_accumulation_steps",
                                "learning_rate",
                                "num_train_epochs",
                                "lr_scheduler_type",
                                "warmup_ratio",
                                "bf16",
                                "ddp_timeout",
                                "resume_from_checkpoint",
                                "eval_dataset",
                                "val_size",
                                "per_device_eval_batch_size",
                                "eval_strategy",
                                "eval_steps"}) {
    const std::vector<std::string> messages = messages_of(std::string(kMinimal) + key + ": 1\n");
    ASSERT_EQ(messages.size(), 1u) << key;
    EXPECT_THAT(messages[0], testing::AllOf(testing::HasSubstr("unknown key `" + key + "`; "),
                                            testing::Not(testing::HasSubstr("expected one of"))));
  }
}

TEST(ConfigErrors, HaveTheExitCodeOfConfigurations) {
  try {
    parse_config("x: 1", "run.yaml");
    FAIL() << "no error";
  } catch (const ErrorList& list) {
    EXPECT_EQ(list.exit_code(), 3);
  }
}

TEST(CheckConfig, FindsInAStructWhatParsingFindsInAFile) {
  RunConfig config;
  config.model = "m";
  config.data.sources = {{.path = "d"}};
  EXPECT_NO_THROW(check_config(config, "code"));
  config.adapter.experts = 3;
  config.train.epochs = 0;
  try {
    check_config(config, "code");
    FAIL() << "no error";
  } catch (const ErrorList& list) {
    EXPECT_EQ(list.errors().size(), 2u);
    EXPECT_THAT(list.what(),
                testing::HasSubstr("code: `train.epochs` is out of range (found 0; expected > 0 and <= 1000000)"));
  }
}

}  // namespace
}  // namespace moelora::config
