#include "config/fields.h"

#include <type_traits>

namespace moelora::config {
namespace {

constexpr Range kAny{};
constexpr Range at_least(double least) {
  return {.low = Range::Bound::kInclusive, .least = least};
}
constexpr Range above(double least) {
  return {.low = Range::Bound::kExclusive, .least = least};
}
constexpr Range above_to(double least, double most) {
  return {Range::Bound::kExclusive, least, Range::Bound::kInclusive, most};
}
constexpr Range between(double least, double most) {
  return {Range::Bound::kInclusive, least, Range::Bound::kInclusive, most};
}
constexpr Range from_to_below(double least, double most) {
  return {Range::Bound::kInclusive, least, Range::Bound::kExclusive, most};
}

/// Of rows, steps and tokens: sums and products of a few of them stay within int64_t.
constexpr Range count_from(double least) {
  return between(least, 1e9);
}

template <typename Enum>
Slot slot_for(std::optional<Enum>& value) requires std::is_enum_v<Enum> {
  return Choice{
      .names = enum_names(Enum{}),
      .optional = true,
      .get = [&value] { return value ? std::optional(name_of(*value)) : std::nullopt; },
      .set = [&value](const std::optional<std::string>& name) { value = name ? from_name<Enum>(*name) : std::nullopt; },
      .aliases = enum_aliases(Enum{})};
}

template <typename Value>
Slot slot_for(Value& value) {
  if constexpr (std::is_enum_v<Value>) {
    return Choice{.names = enum_names(Value{}),
                  .get = [&value] { return std::optional(name_of(value)); },
                  .set = [&value](const std::optional<std::string>& name) { value = *from_name<Value>(*name); },
                  .aliases = enum_aliases(Value{})};
  } else {
    return &value;
  }
}

/// A field reached through members of members.
template <typename Struct, auto... Members>
Field<Struct> field(std::string key, Range range, std::string description) {
  return {std::move(key), [](Struct& owner) { return slot_for((owner.*....*Members)); }, range, std::move(description)};
}

template <auto... Members>
Field<RunConfig> run_field(std::string key, Range range, std::string description) {
  return field<RunConfig, Members...>(std::move(key), range, std::move(description));
}

Slot format_slot(DataSource& source) {
  return Choice{.names = {"promptcblue", "alpaca", "messages", "sharegpt", "completion", "text"},
                .optional = true,
                .get = [&source] { return source.format; },
                .set = [&source](const std::optional<std::string>& name) { source.format = name; }};
}

Slot split_slot(DataSource& source) {
  return Choice{.names = {"train", "dev", "test"},
                .optional = true,
                .get = [&source] { return source.split; },
                .set = [&source](const std::optional<std::string>& name) { source.split = name; }};
}

using Run = RunConfig;
using Data = DataConfig;
using Text = TemplateConfig;
using Adapter = AdapterConfig;
using Gate = GateConfig;
using Train = TrainConfig;
using Eval = EvalConfig;
using Check = CheckpointConfig;

std::vector<Field<RunConfig>> make_run_fields() {
  return {
      run_field<&Run::preset>("preset", kAny,
                              "`paper`: keys that aren't given are what the MOELoRA paper and its code used; the list "
                              "is below."),
      run_field<&Run::model>("model", kAny,
                             "A Hugging Face model directory, or a name such as `Qwen/Qwen3-4B` (`@revision` for one "
                             "that isn't main) in the local Hugging Face cache; required."),
      run_field<&Run::random_init>("random_init", kAny,
                                   "Start from random weights of the model's shape instead of its files; only with "
                                   "`adapter.method: full`."),
      run_field<&Run::quantization>("quantization", kAny,
                                    "How the frozen base's linears are kept: as the files have them, in int8 (products "
                                    "of 8 bits too, and faster) or in 4-bit NF4 (the least memory). Not with "
                                    "`adapter.method: full`."),
      run_field<&Run::output>("output", kAny,
                              "The run directory; where it is not given, `runs/` and the config file's name without "
                              "`.yaml`."),

      run_field<&Run::data, &Data::sources>("data.sources", kAny,
                                            "Where rows come from: a path, or a list of paths and mappings; required."),
      run_field<&Run::data, &Data::tasks>("data.tasks", kAny,
                                          "Use these tasks alone; empty: all tasks of the sources."),
      run_field<&Run::data, &Data::max_length>("data.max_length", count_from(2),
                                               "Most tokens of prompt and answer together."),
      run_field<&Run::data, &Data::overflow>("data.overflow", kAny,
                                             "What happens to a prompt that is too long: stop, leave the row out, or "
                                             "cut the prompt's middle or beginning; the answer is never cut."),
      run_field<&Run::data, &Data::group>("data.group", kAny,
                                          "The row field that names a group, a patient say, which must not stand both "
                                          "in train and in test."),
      run_field<&Run::data, &Data::allow_overlap>("data.allow_overlap", kAny,
                                                  "Rows or groups that stand both in train and in test are a warning "
                                                  "instead of an error."),
      run_field<&Run::data, &Data::skip_bad>("data.skip_bad", kAny,
                                             "Skip and count malformed rows instead of stopping at the first."),
      run_field<&Run::data, &Data::max_bad>("data.max_bad", count_from(0),
                                            "With `skip_bad`, stop when more rows than this are malformed."),

      run_field<&Run::chat_template, &Text::chat>("template.chat", kAny,
                                                  "Use the model's chat template; `false` for a base model that has "
                                                  "none: the prompt's plain text."),
      run_field<&Run::chat_template, &Text::system>("template.system", kAny,
                                                    "System message of the rows that have none of their own; empty for "
                                                    "none."),
      run_field<&Run::chat_template, &Text::options>("template.options", kAny,
                                                     "Variables handed to the chat template, such as "
                                                     "`enable_thinking: false`; recorded and used again at evaluation, "
                                                     "generation and export."),

      run_field<&Run::adapter, &Adapter::method>("adapter.method", kAny,
                                                 "What is trained; the table below says what each is."),
      run_field<&Run::adapter, &Adapter::rank>("adapter.rank", between(1, 65536),
                                               "Total rank over all experts; a multiple of `adapter.experts`."),
      run_field<&Run::adapter, &Adapter::alpha>("adapter.alpha", above(0),
                                                "The adapter's output is scaled by alpha / rank."),
      run_field<&Run::adapter, &Adapter::experts>("adapter.experts", between(1, 65536),
                                                  "Number of experts, each of rank `rank` / `experts`, of the "
                                                  "methods that have several (below)."),
      run_field<&Run::adapter, &Adapter::dropout>(
          "adapter.dropout", from_to_below(0, 1),
          "Probability that an input of the adapter is dropped while training."),
      run_field<&Run::adapter, &Adapter::targets>("adapter.targets", kAny,
                                                  "Which linear layers are adapted: `all-linear`, names such as "
                                                  "`q_proj`, or patterns over full module paths."),
      run_field<&Run::adapter, &Adapter::init_a>("adapter.init_a", kAny,
                                                 "How A starts: uniform as PEFT does it, or normal with deviation 0.01 "
                                                 "as the paper's code does; B starts at 0."),
      run_field<&Run::adapter, &Adapter::gate, &Gate::scope>("adapter.gate.scope", kAny,
                                                             "One gate for all layers (the paper's), or one for each "
                                                             "adapted linear layer."),
      run_field<&Run::adapter, &Adapter::gate, &Gate::normalise>("adapter.gate.normalise", kAny,
                                                                 "The experts' weights sum to 1 (the paper's) or have "
                                                                 "mean 1, which starts as strong as LoRA of the same "
                                                                 "alpha."),
      run_field<&Run::adapter, &Adapter::gate, &Gate::embedding_size>("adapter.gate.embedding_size", between(1, 65536),
                                                                      "Size of a task's embedding."),
      run_field<&Run::adapter, &Adapter::start>(
          "adapter.start", kAny,
          "What adapter training starts from: a finished run of the same method and shape (tasks it doesn't know start "
          "afresh), or a plain LoRA in PEFT's layout. Relative to the working directory."),
      run_field<&Run::adapter, &Adapter::search_steps>("adapter.search_steps", count_from(1),
                                                       "Weights that `lorahub` tries for each task, on its dev rows."),

      run_field<&Run::train, &Train::epochs>("train.epochs", above_to(0, 1e6),
                                             "Passes over the training rows; may be a fraction."),
      run_field<&Run::train, &Train::max_steps>("train.max_steps", count_from(0),
                                                "Optimizer steps in all; 0: as `epochs` says."),
      run_field<&Run::train, &Train::batch_size>("train.batch_size", count_from(1),
                                                 "Samples of one optimizer step, over all micro-batches."),
      run_field<&Run::train, &Train::tokens_per_batch>(
          "train.tokens_per_batch", count_from(2),
          "Tokens of one packed micro-batch: the memory knob. A step "
          "takes as many as its samples need; at least `data.max_length`."),
      run_field<&Run::train, &Train::learning_rate>("train.learning_rate", above(0), "The largest learning rate."),
      run_field<&Run::train, &Train::schedule>("train.schedule", kAny,
                                               "How the learning rate falls after the warm-up."),
      run_field<&Run::train, &Train::warmup_ratio>("train.warmup_ratio", from_to_below(0, 1),
                                                   "Share of the steps over which the learning rate rises from 0."),
      run_field<&Run::train, &Train::weight_decay>("train.weight_decay", at_least(0),
                                                   "Decoupled weight decay of AdamW."),
      run_field<&Run::train, &Train::beta1>("train.beta1", from_to_below(0, 1), "AdamW's decay of the mean."),
      run_field<&Run::train, &Train::beta2>("train.beta2", from_to_below(0, 1), "AdamW's decay of the mean square."),
      run_field<&Run::train, &Train::epsilon>("train.epsilon", above(0), "AdamW's term against division by 0."),
      run_field<&Run::train, &Train::clip>("train.clip", at_least(0), "Largest norm of the gradient; 0: no clipping."),
      run_field<&Run::train, &Train::loss_normalisation>("train.loss_normalisation", kAny,
                                                         "What weighs the same in an optimizer step's loss: every "
                                                         "answer token, every sample, or every task."),
      run_field<&Run::train, &Train::temperature>("train.temperature", above(0),
                                                  "Tasks are drawn in proportion to rows^(1/temperature): 1 as they "
                                                  "are, larger evens them out."),
      run_field<&Run::train, &Train::recompute>("train.recompute", kAny,
                                                "What is computed again in the backward pass instead of being kept: "
                                                "less memory, more time. `mlp` saves about two thirds of the "
                                                "activations' memory, `full` nearly all; `auto` is the first of none, "
                                                "mlp, full that fits into the memory there is."),
      run_field<&Run::train, &Train::weight_layout>("train.weight_layout", kAny,
                                                    "`packed` keeps the frozen linears also in the order that products "
                                                    "read, once for each direction: faster products for three times "
                                                    "the linears' memory. `plain` has them as the files do; `auto` is "
                                                    "packed where that fits into the memory there is."),
      run_field<&Run::train, &Train::dtype>("train.dtype", kAny,
                                            "Of base weights and activations; `auto` is bfloat16 where the CPU has the "
                                            "instructions, else float32. `f32`, `fp32` and `bf16` are read too."),
      run_field<&Run::train, &Train::threads>("train.threads", between(0, 4096), "Threads; 0: all usable cores."),
      run_field<&Run::train, &Train::seed>("train.seed", kAny, "Decides every random draw of the run."),
      run_field<&Run::train, &Train::log_every>("train.log_every", count_from(1),
                                                "Steps between two lines of metrics."),
      run_field<&Run::train, &Train::conflict_every>(
          "train.conflict_every", count_from(0),
          "Steps between two reports of how far the tasks' gradients agree, which take a pass for each task; 0: none."),

      run_field<&Run::eval, &Eval::every_steps>("eval.every_steps", count_from(0),
                                                "Steps between two evaluations on the dev rows; 0: once an epoch."),
      run_field<&Run::eval, &Eval::generate>("eval.generate", kAny,
                                             "Also generate answers to the dev rows and score them, which takes longer "
                                             "than the loss alone."),
      run_field<&Run::eval, &Eval::rows>("eval.rows", count_from(0), "At most so many rows of each task; 0: all."),
      run_field<&Run::eval, &Eval::best>("eval.best", kAny,
                                         "What decides the best step: `mean` over the tasks, one task's name, or "
                                         "`per_task`: each task has a best step "
                                         "of its own, and is exported from it."),
      run_field<&Run::eval, &Eval::patience>("eval.patience", count_from(0),
                                             "Stop after so many evaluations without improvement; 0: never. With "
                                             "`best: per_task` each task is stopped by itself."),
      run_field<&Run::eval, &Eval::max_new_tokens>("eval.max_new_tokens", count_from(1),
                                                   "Most tokens of a generated answer."),
      run_field<&Run::eval, &Eval::batch_size>("eval.batch_size", count_from(1), "Sequences decoded together."),

      run_field<&Run::checkpoint, &Check::every_steps>("checkpoint.every_steps", count_from(0),
                                                       "Steps between two checkpoints; 0: at each evaluation."),
      run_field<&Run::checkpoint, &Check::keep>("checkpoint.keep", count_from(2), "How many of the newest are kept."),
  };
}

using Task = TaskConfig;
using Source = DataSource;

}  // namespace

const std::vector<Field<RunConfig>>& run_fields() {
  static const std::vector<Field<RunConfig>> fields = make_run_fields();
  return fields;
}

const std::vector<Field<TaskConfig>>& task_fields() {
  static const std::vector<Field<TaskConfig>> fields = {
      field<Task, &Task::metric>("metric", kAny,
                                 "How answers are scored, such as `macro_f1` or `rouge_l`; derived from the rows' "
                                 "`task_type`."),
      field<Task, &Task::overflow>("overflow", kAny, "As `data.overflow`, for this task."),
      field<Task, &Task::prompt>("prompt", kAny, "Text put before every prompt of the task."),
      field<Task, &Task::max_new_tokens>("max_new_tokens", count_from(1), "As `eval.max_new_tokens`, for this task."),
      field<Task, &Task::max_rows>("max_rows", count_from(1), "Use at most so many training rows."),
      field<Task, &Task::labels>("labels", kAny,
                                 "The valid answers of a classification; empty: those of its training rows."),
      field<Task, &Task::weight>("weight", above_to(0, 1e6),
                                 "What a sample's loss counts beside other tasks'; 1 where it isn't given."),
      field<Task, &Task::share>("share", above_to(0, 1e9),
                                "Share of the drawn samples, relative to the other tasks' shares, in place of "
                                "`train.temperature`; given for all tasks or for none."),
      field<Task, &Task::group>("group", kAny,
                                "Tasks of one group are one task to the adapter: they share a row of the gate (or one "
                                "LoRA, where the method trains one per task) and an exported adapter."),
  };
  return fields;
}

const std::vector<Field<DataSource>>& source_fields() {
  static const std::vector<Field<DataSource>> fields = {
      field<Source, &Source::path>(
          "path", kAny,
          "A directory `<task>/{train,dev,test}.jsonl`, a directory of such splits, one with "
          "a file per task, one file, or `dataset_info.json` (`#name`: that entry); required."),
      field<Source, &Source::task>("task", kAny,
                                   "The task of every row; else the row's own label, else the name of its folder, of "
                                   "its file where files are tasks, or of its entry of `dataset_info.json`."),
      {"format", format_slot, kAny, "The rows' format; else detected."},
      {"split", split_slot, kAny, "The split all rows belong to; else the file's name says it."},
  };
  return fields;
}

}  // namespace moelora::config
