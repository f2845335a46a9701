// Accuracy and macro F1 of classifications, with the scores of each class and the confusion matrix.
#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/utf8.h"
#include "eval/metrics.h"

namespace moelora::eval {
namespace {

// kListed: on the row's own list. kOther: not on it, or none was given; a class all the same where it is another row's
// gold answer.
enum class Reading { kListed, kOther, kMalformed };

class LabelMetric : public Metric {
 public:
  LabelMetric(std::string name, LabelScore score, MetricOptions options)
      : name_(std::move(name)), score_(score), options_(std::move(options)) {}

  void check(const EvalRow& row) const override {
    const std::string_view gold = trim(row.gold);
    if (gold.empty() || gold.find('\n') != std::string_view::npos || first_invalid_utf8(gold)) {
      throw Error(ErrorKind::kData, {row_place(row), "the gold answer can't be read as a label", "",
                                     "one line of UTF-8 text", "choose another metric for this task"});
    }
  }

  RowScore add(const EvalRow& row, std::string_view prediction) override {
    check(row);
    std::vector<std::string> list = row.choices;
    list.insert(list.end(), options_.labels.begin(), options_.labels.end());
    const Grammar grammar = resolve_grammar(options_.grammar, row.gold, list);
    const bool has_list = !list.empty();
    if (has_list) list.push_back(row.gold);
    for (const std::string& label : list) remember(label, grammar);

    Row read{remember(row.gold, grammar), "", Reading::kMalformed};
    const ParsedAnswer answer = parse_answer(prediction, {AnswerKind::kLabel, grammar, list});
    if (!answer.malformed()) {
      read.predicted = *answer.items.begin();
      read.reading = has_list && answer.off_list.empty() ? Reading::kListed : Reading::kOther;
      if (read.reading == Reading::kListed) remember(prediction, grammar);
    }
    RowScore score = {read.predicted == read.gold && !answer.malformed() ? 1.0 : 0.0, answer.malformed(),
                      has_list && read.reading == Reading::kOther};
    score.gold = read.gold;
    score.answered = read.predicted;
    score.listed = read.reading == Reading::kListed;
    rows_.push_back(std::move(read));
    return score;
  }

  MetricResult result() const override {
    MetricResult result;
    result.metric = name_;
    result.rows = static_cast<int64_t>(rows_.size());
    if (rows_.empty()) return result;
    fill_confusion(&result);
    for (const ClassScore& one : result.classes) {
      result.precision += one.precision;
      result.recall += one.recall;
      result.score += one.f1;
    }
    if (score_ == LabelScore::kMacroF1) {
      const auto classes = static_cast<double>(result.classes.size());
      result.precision /= classes;
      result.recall /= classes;
      result.score /= classes;
    } else {
      const int64_t answered = result.rows - result.malformed - result.off_list;
      const auto right = static_cast<double>(result.right);
      result.precision = answered == 0 ? 0 : right / static_cast<double>(answered);
      result.recall = result.score = right / static_cast<double>(result.rows);
    }
    return result;
  }

 private:
  struct Row {
    std::string gold;  // canonical, as the prediction
    std::string predicted;
    Reading reading;
  };

  // The canonical form of a label; the first spelling of it is the one reports show.
  std::string remember(std::string_view label, Grammar grammar) {
    std::string canonical = canonical_item(label, grammar);
    spelling_.emplace(canonical, trim(label));
    return canonical;
  }

  void fill_confusion(MetricResult* result) const {
    std::map<std::string, int64_t> support;
    for (const Row& row : rows_) support[row.gold] += 1;
    const auto listed = [&, gold = support](const Row& row) {
      return row.reading == Reading::kListed || (row.reading == Reading::kOther && gold.contains(row.predicted));
    };
    for (const Row& row : rows_) {
      if (listed(row)) support.try_emplace(row.predicted, 0);
    }
    std::vector<std::pair<std::string, int64_t>> classes(support.begin(), support.end());
    std::stable_sort(classes.begin(), classes.end(), [](const auto& a, const auto& b) { return a.second > b.second; });

    std::map<std::string, size_t> column;
    for (const auto& [label, count] : classes) {
      column[label] = column.size();
      result->confusion_columns.push_back(spelling_.at(label));
      result->classes.push_back({spelling_.at(label), 0, 0, 0, count, 0});
    }
    const size_t off_list = classes.size();
    result->confusion_columns.insert(result->confusion_columns.end(), {"(off list)", "(malformed)"});
    result->confusion.assign(classes.size(), std::vector<int64_t>(classes.size() + 2, 0));
    for (const Row& row : rows_) {
      size_t answered = off_list;
      if (row.reading == Reading::kMalformed) {
        answered = off_list + 1;
        result->malformed += 1;
      } else if (listed(row)) {
        answered = column.at(row.predicted);
        result->classes[answered].predicted += 1;
      } else {
        result->off_list += 1;
      }
      result->confusion[column.at(row.gold)][answered] += 1;
    }
    for (size_t i = 0; i < classes.size(); ++i) {
      ClassScore& one = result->classes[i];
      const int64_t right = result->confusion[i][i];
      const Ratios of = ratios(right, one.predicted - right, one.support - right);
      one.precision = of.precision;
      one.recall = of.recall;
      one.f1 = of.f1;
      result->right += right;
    }
    result->wrong = result->missed = result->rows - result->right;
  }

  std::string name_;
  LabelScore score_;
  MetricOptions options_;
  std::map<std::string, std::string> spelling_;
  std::vector<Row> rows_;
};

}  // namespace

std::unique_ptr<Metric> make_label_metric(std::string name, LabelScore score, MetricOptions options) {
  return std::make_unique<LabelMetric>(std::move(name), score, std::move(options));
}

}  // namespace moelora::eval
