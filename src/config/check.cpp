// Ranges and combinations: what is wrong although every value has the right type.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <variant>

#include "config/load.h"
#include "config/loader.h"
#include "config/method.h"
#include "core/suggest.h"
#include "core/utf8.h"

namespace moelora::config {
namespace {

template <typename Struct>
void check_ranges(const Struct& owner, const std::vector<Field<Struct>>& fields, const std::string& prefix,
                  Findings* findings) {
  Struct copy = owner;  // slots are for writing too
  for (const auto& field : fields) {
    const std::string key = prefix + field.key;
    const Slot slot = field.slot(copy);
    const auto number = number_of(slot);
    if (!number || field.range.holds(*number) || findings->has_failed(key)) continue;
    findings->add_about(key, {.problem = "`" + key + "` is out of range",
                              .found = value_text(slot).value_or(""),
                              .expected = field.range.text()});
  }
}

std::vector<std::string> texts_of(const Slot& slot) {
  if (const auto* text = std::get_if<std::string*>(&slot)) return {**text};
  if (const auto* text = std::get_if<std::optional<std::string>*>(&slot)) return {(*text)->value_or("")};
  if (const auto* list = std::get_if<std::vector<std::string>*>(&slot)) return **list;
  std::vector<std::string> texts;
  if (const auto* options = std::get_if<std::map<std::string, std::string>*>(&slot)) {
    for (const auto& [name, value] : **options) texts.insert(texts.end(), {name, value});
  }
  return texts;
}

/// What the run writes is JSON, and that is UTF-8: better refused now than after the training. YAML is UTF-8 anyway;
/// flags and the directories that paths are relative to needn't be.
template <typename Struct>
void check_utf8(const Struct& owner, const std::vector<Field<Struct>>& fields, const std::string& prefix,
                Findings* findings) {
  Struct copy = owner;
  for (const auto& field : fields) {
    const std::string key = prefix + field.key;
    const std::vector<std::string> texts = texts_of(field.slot(copy));
    if (std::ranges::none_of(texts, [](const std::string& text) { return first_invalid_utf8(text).has_value(); }))
      continue;
    findings->add_about(key, {.problem = "`" + key + "` is not valid UTF-8"});
  }
}

void check_required(const RunConfig& config, Findings* findings) {
  if (config.model.empty() && !findings->has_failed("model")) {
    findings->add_about("model",
                        {.problem = "`model` is missing", .expected = "a model directory or a Hugging Face name"});
  }
  const std::vector<DataSource>& sources = config.data.sources;
  if (sources.empty() && !findings->has_failed("data.sources") && !findings->has_failed("data")) {
    findings->add_about("data.sources",
                        {.problem = "`data` is missing", .expected = "where the rows are, as `data: data/`"});
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    const std::string key = "data.sources[" + std::to_string(i) + "].path";
    if (sources[i].path.empty() && !findings->has_failed(key)) {
      findings->add_about(key, {.problem = "`" + key + "` is missing", .expected = "a file or a directory"});
    }
  }
}

/// The divisor of `number` nearest to `wanted`, the smaller of two.
int64_t nearest_divisor(int64_t number, int64_t wanted) {
  int64_t nearest = 1;
  for (int64_t divisor = 2; divisor <= number; ++divisor) {
    if (number % divisor == 0 && std::abs(divisor - wanted) < std::abs(nearest - wanted)) nearest = divisor;
  }
  return nearest;
}

void check_adapter(const RunConfig& config, Findings* findings) {
  const AdapterConfig& adapter = config.adapter;
  if (mixes_experts(adapter.method) && !findings->has_failed("adapter.rank") &&
      !findings->has_failed("adapter.experts") && !findings->has_failed("adapter.method") &&
      adapter.rank % adapter.experts != 0) {
    const int64_t upper = (adapter.rank / adapter.experts + 1) * adapter.experts;
    findings->add_about(
        findings->is_given("adapter.experts") ? "adapter.experts" : "adapter.rank",
        {.problem = "`adapter.rank` is not a multiple of `adapter.experts`",
         .found = "rank " + std::to_string(adapter.rank) + ", experts " + std::to_string(adapter.experts),
         .hint = "try experts: " + std::to_string(nearest_divisor(adapter.rank, adapter.experts)) +
                 " or rank: " + std::to_string(upper)});
  }
  if (config.random_init && !trains_base(adapter.method) && !findings->has_failed("adapter.method")) {
    findings->add_about("random_init", {.problem = "`random_init` needs `adapter.method: full`",
                                        .found = "method " + name_of(adapter.method),
                                        .hint = "an adapter over random weights learns nothing"});
  }
  if (config.quantization != Quantization::kNone && trains_base(adapter.method)) {
    findings->add_about("quantization", {.problem = "`adapter.method: full` can't train a quantised base",
                                         .found = "quantization " + name_of(config.quantization),
                                         .hint = "set quantization: none, or train an adapter"});
  }
  if (findings->has_failed("adapter.targets")) return;
  if (adapter.targets.empty()) {
    findings->add_about("adapter.targets",
                        {.problem = "`adapter.targets` is empty", .expected = "at least one name, or all-linear"});
  }
  for (const std::string& target : adapter.targets) {
    if (target.empty()) {
      findings->add_about("adapter.targets", {.problem = "`adapter.targets` holds an empty name"});
    } else if (target.find_first_of(", ") != std::string::npos && target.find_first_of("([{\\") == std::string::npos) {
      findings->add_about("adapter.targets", {.problem = "`adapter.targets` holds several names in one",
                                              .found = "`" + target + "`",
                                              .hint = "write a list: [q_proj, v_proj]"});
    }
  }
}

void check_train(const RunConfig& config, Findings* findings) {
  if (!findings->has_failed("train.tokens_per_batch") && !findings->has_failed("data.max_length") &&
      config.train.tokens_per_batch < config.data.max_length) {
    const std::string needed = std::to_string(config.data.max_length);
    findings->add_about(
        "train.tokens_per_batch",
        {.problem = "`train.tokens_per_batch` is less than `data.max_length`: the longest row would fit no batch",
         .found = std::to_string(config.train.tokens_per_batch),
         .expected = "at least " + needed,
         .hint = "set train.tokens_per_batch: " + needed});
  }
  if (config.eval.best.empty() && !findings->has_failed("eval.best")) {
    findings->add_about("eval.best",
                        {.problem = "`eval.best` is empty", .expected = "mean, per_task, or a task's name"});
  }
  const Method method = config.adapter.method;
  if (config.eval.best == kBestPerTask && !is_linear_in_the_task(method) && !findings->has_failed("adapter.method")) {
    findings->add_about("eval.best",
                        {.problem = "`eval.best: per_task` needs a method whose weights are linear in the task",
                         .found = "method " + name_of(method) +
                                  (trains_base(method) ? ", which trains the one model that all tasks share"
                                                       : ", whose gate sees the row"),
                         .expected = "mean, or a task's name"});
  }
}

void check_tasks(const RunConfig& config, Findings* findings) {
  for (const auto& [name, task] : config.tasks) {
    check_ranges(task, task_fields(), "tasks." + name + ".", findings);
    check_utf8(task, task_fields(), "tasks." + name + ".", findings);
    std::set<std::string> seen;
    const std::string key = "tasks." + name + ".labels";
    for (const std::string& label : task.labels) {
      if (!seen.insert(label).second) {
        findings->add_about(key, {.problem = "`" + key + "` holds a label twice", .found = "`" + label + "`"});
      }
    }
  }
}

}  // namespace

void check_values(const RunConfig& config, Findings* findings) {
  check_required(config, findings);
  check_ranges(config, run_fields(), "", findings);
  check_utf8(config, run_fields(), "", findings);
  for (size_t i = 0; i < config.data.sources.size(); ++i) {
    check_utf8(config.data.sources[i], source_fields(), "data.sources[" + std::to_string(i) + "].", findings);
  }
  check_adapter(config, findings);
  check_train(config, findings);
  check_tasks(config, findings);
}

void check_config(const RunConfig& config, std::string_view where) {
  Findings findings{std::string(where)};
  check_values(config, &findings);
  findings.throw_if_any();
}

}  // namespace moelora::config
