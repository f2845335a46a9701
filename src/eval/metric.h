// How well generated answers match the gold ones: one Metric per task and name, fed row by row.
//
// name               answers   score
// micro_f1_set       set       F1 of all items of all rows together (also micro precision and recall)
// micro_f1_triples   triples   the same, an item being a triple
// micro_f1_events    events    the same; an event counts only with every field right
// micro_f1_pairs     pairs     the same, over (finding, status)
// micro_f1_entities  entities  the same, over (type, item)
// accuracy           label     share of rows with the right label
// macro_f1           label     mean F1 of the classes that are gold or (listed and) predicted in at least one row
// rouge_l            text      mean over rows of ROUGE-L's F (beta 1) of the whole text; of a PromptCBLUE report
//                              the mean over the gold's sections, a missing one scoring 0
// exact_match        text      share of rows equal after trimming
// f1_changed_words   text      F1 of the words added to or taken from a source text, which the prompt holds
//                              (MetricOptions::source_prefix), over all rows
//
// Wrong, never skipped: malformed answers and off-list items (see answer.h). In a classification, where an answer that
// is not on its row's list but gold in another row is a wrong answer of that class, the rest of them are columns of
// the confusion matrix of their own, not classes: with scikit-learn, f1_score(labels=<the classes>, average="macro",
// zero_division=0). A row whose gold and answer are both empty sets scores 1. Where nothing was expected and nothing
// given in any row, F1 is 1.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "eval/answer.h"
#include "eval/segment.h"

namespace moelora::eval {

/// One test row as metrics and baselines see it.
struct EvalRow {
  std::string id;
  std::string prompt;  // baselines and MetricOptions::source_prefix read it; else may be empty
  std::string gold;
  std::vector<std::string> choices;  // the row's answer_choices; may be empty
};

struct MetricOptions {
  Grammar grammar = Grammar::kAuto;
  TextUnit unit = TextUnit::kAuto;  // of rouge_l, f1_changed_words; kAuto: decided by each gold answer
  std::vector<std::string> labels;  // all labels of a classification; with a row's choices they are its list
  std::string source_prefix;        // the source text is what follows this on the prompt line that starts with it
};

struct RowScore {
  double score = 0;  // in [0, 1]; 0 or 1 where the metric is right/wrong; a row's own F1 under micro F1
  bool malformed = false;
  bool off_list = false;  // by the row's own list
  // What the row adds to a score that isn't the mean of the rows' (eval/rescore.h):
  int64_t right = 0;  // items or words, as in MetricResult
  int64_t wrong = 0;
  int64_t missed = 0;
  std::string gold;      // of classifications: the class, and
  std::string answered;  // what was answered; empty where malformed
  bool listed = false;   // on the row's own list; else it is a class only where it is another row's gold answer
};

struct ClassScore {
  std::string label;
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  int64_t support = 0;    // gold rows
  int64_t predicted = 0;  // rows answered so
};

struct MetricResult {
  std::string metric;
  double score = 0;  // in [0, 1]
  double precision = 0;
  double recall = 0;
  int64_t rows = 0;
  int64_t malformed = 0;                        // rows
  int64_t off_list = 0;                         // rows
  int64_t gold_unreadable = 0;                  // parts of gold answers that couldn't be read and don't count
  int64_t right = 0;                            // items (rows, words) in both; true positives
  int64_t wrong = 0;                            // answered but not gold
  int64_t missed = 0;                           // gold but not answered
  std::vector<ClassScore> classes;              // of classifications, by falling support
  std::vector<std::string> confusion_columns;   // the classes, then "(off list)", "(malformed)"
  std::vector<std::vector<int64_t>> confusion;  // [class][column] rows
};

class Metric {
 public:
  virtual ~Metric() = default;

  /// Throws Error(kData) naming the row where its gold answer can't be read at all or a needed source is missing. Call
  /// it for every row before generating anything.
  virtual void check(const EvalRow& row) const = 0;
  /// Scores one row. Any bytes are a valid prediction. Throws as check().
  virtual RowScore add(const EvalRow& row, std::string_view prediction) = 0;
  virtual MetricResult result() const = 0;
};

/// What a metric's score is made from.
enum class ScoreFrom {
  kRows,     // the mean of the rows' scores
  kItems,    // F1 of the items (words) of all rows together: RowScore's right, wrong and missed
  kClasses,  // the mean F1 of the classes: RowScore's gold, answered and listed
};

/// What depends on the metric asks for these, not for its name: lists of labels, baselines, a bootstrap.
struct MetricFacts {
  AnswerKind answers;
  ScoreFrom score;
};

/// Throws as make_metric.
MetricFacts metric_facts(std::string_view name, std::string_view where = "metric");

/// Throws Error(kConfig), naming `where` and the nearest name, for an unknown metric.
std::unique_ptr<Metric> make_metric(std::string_view name, const MetricOptions& options,
                                    std::string_view where = "metric");

const std::vector<std::string>& metric_names();

/// A metric as a config names it: `rouge_l`, `rouge_l(unit=word)`, `f1_changed_words(source=Parent:; unit=word)`,
/// `micro_f1_set(grammar=plain)`.
struct MetricSpec {
  std::string name;
  MetricOptions options;  // without labels
};

/// One or several specs separated by `,`; the first is the task's score, the others are reported beside it. Throws
/// Error(kConfig), naming `where`.
std::vector<MetricSpec> parse_metric_specs(std::string_view text, std::string_view where);

/// The metric of a row's task_type (PromptCBLUE's: cls, matching, ner, normalization, spo_generation, event_extraction,
/// attr_cls, report_generation, response_generation; or an answer kind of answer.h). Throws Error(kConfig), naming
/// `where` and listing those known, for any other: there is no default for an unknown task.
std::string default_metric(std::string_view task_type, std::string_view where);

}  // namespace moelora::eval
