// The configuration of a run as typed structs: what a YAML file, the command line's overrides and a run's resolved
// config all become. A member, its YAML key and its flag have one name: `train.learning_rate` is
// RunConfig::train.learning_rate and --train.learning_rate. Every default stands here and nowhere else; docs/config.md
// is checked against this file's schema.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace moelora::config {

/// What happens to a prompt longer than the limit; the answer is never cut.
enum class Overflow { kError, kDrop, kCutMiddle, kCutHead };

/// What one unit of loss weight is, over a whole optimizer step.
enum class LossNormalisation { kToken, kSample, kTask };

/// What is trained; docs/moelora.md has the table, config/method.h what is particular of each.
enum class Method {
  kMoelora,         // experts weighed by a gate that sees the task
  kUniform,         // experts of equal weight: no gate
  kMolora,          // experts weighed by a gate that sees the row
  kLora,            // one LoRA for all tasks
  kLoraTaskPrompt,  // the same, with a line in the prompt that names the task
  kLoraPerTask,     // one LoRA a task, each trained alone
  kLoraHub,         // those, summed for each task with weights found on its dev rows
  kTaskArithmetic,  // those, their updates added with one weight
  kFull,            // every parameter of the base
};
enum class GateScope { kShared, kPerLayer };
enum class GateNormalise { kSumOne, kMeanOne };
enum class InitA { kKaiming, kNormal };
enum class Schedule { kLinear, kCosine, kConstant };
enum class DType { kAuto, kFloat32, kBFloat16 };
enum class Recompute { kAuto, kNone, kMlp, kFull };
enum class WeightLayout { kAuto, kPlain, kPacked };
enum class Quantization { kNone, kInt8, kNf4 };
/// Other defaults than the ones below: `preset_config` has them.
enum class Preset { kNone, kPaper };

/// Where rows come from. A plain string in YAML is a source with that path.
struct DataSource {
  std::string path;                 // a directory data/<task>/{train,dev,test}.jsonl, a directory of splits, or a file
  std::optional<std::string> task;  // the task of every row; else the row's own label, else the directory's name
  std::optional<std::string> format;  // promptcblue | alpaca | messages | sharegpt | completion | text; else detected
  std::optional<std::string> split;   // train | dev | test; else the file's name

  bool operator==(const DataSource&) const = default;
};

/// Exceptions for one task; what is not given is derived from its rows (docs/config.md).
struct TaskConfig {
  std::optional<std::string> metric;      // else from the row's task_type
  std::optional<Overflow> overflow;       // else data.overflow
  std::optional<std::string> prompt;      // text put before every prompt of the task (the paper's task prompt)
  std::optional<int64_t> max_new_tokens;  // else eval.max_new_tokens
  std::optional<int64_t> max_rows;        // at most so many training rows
  std::vector<std::string> labels;        // of a classification; else those of its training rows
  std::optional<double> weight;           // of its loss, relative to the other tasks'; else 1
  std::optional<double> share;            // of the drawn samples, relative to the others'; given for all tasks or none
  std::optional<std::string> group;       // tasks of one group are one task to the adapter (config/task_groups.h)

  bool operator==(const TaskConfig&) const = default;
};

struct DataConfig {
  std::vector<DataSource> sources;
  std::vector<std::string> tasks;  // only these; empty: all tasks of the sources
  int64_t max_length = 1024;       // tokens of prompt and answer together
  Overflow overflow = Overflow::kError;
  std::string group;           // row field that names a group (a patient, say) that must not stand in train and test
  bool allow_overlap = false;  // train/test overlap of rows or groups: a warning instead of an error
  bool skip_bad = false;       // count and skip malformed rows instead of failing, up to max_bad
  int64_t max_bad = 100;

  bool operator==(const DataConfig&) const = default;
};

/// Options handed to the chat template; recorded with the artefact and used again at evaluation, generation and export.
struct TemplateConfig {
  bool chat = true;                            // false: the plain text prompt, for a base without a chat template
  std::string system;                          // system message of rows that have none; empty: none
  std::map<std::string, std::string> options;  // e.g. enable_thinking: "false"; values as JSON

  bool operator==(const TemplateConfig&) const = default;
};

struct GateConfig {
  GateScope scope = GateScope::kShared;              // one gate for all layers (the paper's), or one per adapted linear
  GateNormalise normalise = GateNormalise::kSumOne;  // weights sum to 1 (the paper's) or have mean 1
  int64_t embedding_size = 64;                       // d_t

  bool operator==(const GateConfig&) const = default;
};

struct AdapterConfig {
  Method method = Method::kMoelora;
  int64_t rank = 16;  // total over the experts
  double alpha = 32;
  int64_t experts = 8;
  double dropout = 0.0;
  std::vector<std::string> targets = {"all-linear"};  // or module names (q_proj), or patterns over full module paths
  InitA init_a = InitA::kKaiming;                     // or normal: N(0, 0.01²), as the reference
  GateConfig gate;
  std::string start;  // a run (experts, gate, known tasks' embeddings) or a PEFT LoRA as the start; empty: fresh
  int64_t search_steps = 100;  // of lorahub: weights tried for each task

  bool operator==(const AdapterConfig&) const = default;
};

struct TrainConfig {
  double epochs = 3;
  int64_t max_steps = 0;            // 0: from epochs
  int64_t batch_size = 64;          // samples of one optimizer step
  int64_t tokens_per_batch = 2048;  // tokens of one packed micro-batch; a step takes as many as its samples need
  double learning_rate = 2e-4;
  Schedule schedule = Schedule::kLinear;
  double warmup_ratio = 0.0;
  double weight_decay = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double clip = 1.0;  // largest norm of the gradient; 0: no clipping
  LossNormalisation loss_normalisation = LossNormalisation::kToken;
  double temperature = 1.0;  // tasks are drawn with probability ∝ rows^(1/temperature)
  Recompute recompute = Recompute::kAuto;
  WeightLayout weight_layout = WeightLayout::kAuto;  // of the frozen base's linears, where they aren't quantised
  DType dtype = DType::kAuto;  // of base weights and activations; auto: bf16 where the CPU has the instructions
  int64_t threads = 0;         // 0: all cores
  uint64_t seed = 42;
  int64_t log_every = 10;      // steps
  int64_t conflict_every = 0;  // steps between two reports of how the tasks' gradients agree; 0: none

  bool operator==(const TrainConfig&) const = default;
};

/// What `eval.best` may be beside a task's name. No task is named so.
inline constexpr const char* kBestOfMean = "mean";
inline constexpr const char* kBestPerTask = "per_task";  // each task has a best step and a patience of its own

struct EvalConfig {
  int64_t every_steps = 0;         // 0: once an epoch
  bool generate = false;           // also generate on the dev rows and score them
  int64_t rows = 0;                // at most so many rows a task; 0: all
  std::string best = kBestOfMean;  // the mean over tasks, one task's name, or kBestPerTask
  int64_t patience = 0;            // evaluations without improvement before stopping; 0: never
  int64_t max_new_tokens = 196;
  int64_t batch_size = 16;  // sequences decoded together

  bool operator==(const EvalConfig&) const = default;
};

struct CheckpointConfig {
  int64_t every_steps = 0;  // 0: at each evaluation
  int64_t keep = 2;         // at least 2

  bool operator==(const CheckpointConfig&) const = default;
};

struct RunConfig {
  Preset preset = Preset::kNone;  // what keys that aren't given are
  std::string model;              // a Hugging Face directory, or a name in the Hugging Face cache
  bool random_init = false;       // random weights of the model's shape instead of its files (method: full)
  Quantization quantization = Quantization::kNone;  // of the frozen base's linears
  std::string output;                               // the run directory; default runs/<name of the config file>
  DataConfig data;
  std::map<std::string, TaskConfig> tasks;
  TemplateConfig chat_template;  // key `template`
  AdapterConfig adapter;
  TrainConfig train;
  EvalConfig eval;
  CheckpointConfig checkpoint;

  bool operator==(const RunConfig&) const = default;
};

}  // namespace moelora::config
