#include "eval/metric.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "eval/metrics.h"

namespace moelora::eval {
namespace {

struct Entry {
  std::string name;
  MetricFacts facts;
  std::unique_ptr<Metric> (*make)(std::string name, MetricOptions options);
};

template <AnswerKind kKind>
std::unique_ptr<Metric> item_f1(std::string name, MetricOptions options) {
  return make_item_f1(std::move(name), kKind, std::move(options));
}

template <LabelScore kScore>
std::unique_ptr<Metric> label_metric(std::string name, MetricOptions options) {
  return make_label_metric(std::move(name), kScore, std::move(options));
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      {"micro_f1_set", {AnswerKind::kSet, ScoreFrom::kItems}, item_f1<AnswerKind::kSet>},
      {"micro_f1_triples", {AnswerKind::kTriples, ScoreFrom::kItems}, item_f1<AnswerKind::kTriples>},
      {"micro_f1_events", {AnswerKind::kEvents, ScoreFrom::kItems}, item_f1<AnswerKind::kEvents>},
      {"micro_f1_pairs", {AnswerKind::kPairs, ScoreFrom::kItems}, item_f1<AnswerKind::kPairs>},
      {"micro_f1_entities", {AnswerKind::kEntities, ScoreFrom::kItems}, item_f1<AnswerKind::kEntities>},
      {"accuracy", {AnswerKind::kLabel, ScoreFrom::kRows}, label_metric<LabelScore::kAccuracy>},
      {"macro_f1", {AnswerKind::kLabel, ScoreFrom::kClasses}, label_metric<LabelScore::kMacroF1>},
      {"rouge_l", {AnswerKind::kText, ScoreFrom::kRows}, make_rouge_l},
      {"exact_match", {AnswerKind::kText, ScoreFrom::kRows}, make_exact_match},
      {"f1_changed_words", {AnswerKind::kText, ScoreFrom::kItems}, make_changed_words_f1},
  };
  return all;
}

// task_type of a row, or the kind of its answers -> metric.
const std::vector<std::pair<std::string, std::string>>& default_metrics() {
  static const std::vector<std::pair<std::string, std::string>> all = {
      {"cls", "macro_f1"},
      {"matching", "accuracy"},
      {"ner", "micro_f1_entities"},
      {"normalization", "micro_f1_set"},
      {"spo_generation", "micro_f1_triples"},
      {"event_extraction", "micro_f1_events"},
      {"attr_cls", "micro_f1_pairs"},
      {"report_generation", "rouge_l"},
      {"response_generation", "rouge_l"},
      {"label", "macro_f1"},
      {"set", "micro_f1_set"},
      {"triples", "micro_f1_triples"},
      {"events", "micro_f1_events"},
      {"pairs", "micro_f1_pairs"},
      {"entities", "micro_f1_entities"},
      {"text", "rouge_l"},
  };
  return all;
}

const Entry& find_metric(std::string_view name, std::string_view where) {
  for (const Entry& entry : entries()) {
    if (entry.name == name) return entry;
  }
  throw Error(ErrorKind::kConfig, {std::string(where), "unknown metric `" + std::string(name) + "`", "",
                                   list_names(metric_names()), did_you_mean(name, metric_names())});
}

void set_option(std::string_view text, std::string_view where, MetricOptions* options) {
  static const std::vector<std::string> keys = {"grammar", "unit", "source"};
  const size_t equals = text.find('=');
  const std::string_view key = trim(text.substr(0, equals));
  const std::string_view value = equals == std::string_view::npos ? "" : trim(text.substr(equals + 1));
  if (key == keys[0]) {
    options->grammar = grammar_from_name(value, where);
  } else if (key == keys[1]) {
    options->unit = unit_from_name(value, where);
  } else if (key == keys[2] && !value.empty()) {
    options->source_prefix = value;
  } else {
    throw Error(ErrorKind::kConfig, {std::string(where), "unknown metric option `" + std::string(text) + "`", "",
                                     "grammar=…, unit=… or source=…", did_you_mean(key, keys)});
  }
}

MetricSpec parse_spec(std::string_view text, std::string_view where) {
  MetricSpec spec;
  const size_t open = text.find('(');
  spec.name = trim(text.substr(0, open));
  find_metric(spec.name, where);
  if (open == std::string_view::npos) return spec;
  if (!text.ends_with(')')) {
    throw Error(ErrorKind::kConfig, {std::string(where), "the options of a metric don't end with `)`",
                                     std::string(text), "metric(option=value; option=value)", ""});
  }
  for (const std::string_view option : split_trimmed(text.substr(open + 1, text.size() - open - 2), ";")) {
    set_option(option, where, &spec.options);
  }
  return spec;
}

}  // namespace

MetricFacts metric_facts(std::string_view name, std::string_view where) {
  return find_metric(name, where).facts;
}

std::unique_ptr<Metric> make_metric(std::string_view name, const MetricOptions& options, std::string_view where) {
  return find_metric(name, where).make(std::string(name), options);
}

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Entry& entry : entries()) all.push_back(entry.name);
    return all;
  }();
  return names;
}

std::vector<MetricSpec> parse_metric_specs(std::string_view text, std::string_view where) {
  std::vector<MetricSpec> specs;
  size_t start = 0;
  int64_t depth = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size()) {
      depth += (text[i] == '(') - (text[i] == ')');
      if (text[i] != ',' || depth > 0) continue;
    }
    const std::string_view part = trim(text.substr(start, i - start));
    if (!part.empty()) specs.push_back(parse_spec(part, where));
    start = i + 1;
  }
  if (specs.empty()) {
    throw Error(ErrorKind::kConfig, {std::string(where), "no metric is named", "", list_names(metric_names()), ""});
  }
  return specs;
}

std::string default_metric(std::string_view task_type, std::string_view where) {
  std::vector<std::string> known;
  for (const auto& [type, metric] : default_metrics()) {
    if (type == task_type) return metric;
    known.push_back(type);
  }
  const std::string nearest = did_you_mean(task_type, known);
  throw Error(ErrorKind::kConfig,
              {std::string(where), "no metric is known for task_type `" + std::string(task_type) + "`", "",
               list_names(known, known.size()),
               nearest.empty() ? "set the task's `metric`" : nearest + " or set the task's `metric`"});
}

}  // namespace moelora::eval
