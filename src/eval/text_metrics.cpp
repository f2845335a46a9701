// Metrics of free text: ROUGE-L (Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004: sentence level,
// beta 1), exact match, and F1 of the words that differ from a source.
#include <algorithm>
#include <bit>
#include <map>
#include <unordered_map>

#include "core/error.h"
#include "core/utf8.h"
#include "eval/metrics.h"

namespace moelora::eval {

// Bit-parallel (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): a zero bit of `row` marks a column where
// the length of the common subsequence grows.
int64_t common_subsequence(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const size_t words = (a.size() + 63) / 64;
  std::unordered_map<std::string_view, std::vector<uint64_t>> places;
  for (size_t i = 0; i < a.size(); ++i) {
    std::vector<uint64_t>& bits = places.try_emplace(a[i], words, 0).first->second;
    bits[i / 64] |= uint64_t{1} << i % 64;
  }
  std::vector<uint64_t> row(words, ~uint64_t{0});
  for (const std::string& token : b) {
    const auto found = places.find(token);
    if (found == places.end()) continue;
    uint64_t carry = 0;
    for (size_t w = 0; w < words; ++w) {
      const uint64_t matches = row[w] & found->second[w];
      const auto sum = static_cast<unsigned __int128>(row[w]) + matches + carry;
      carry = static_cast<uint64_t>(sum >> 64);
      row[w] = static_cast<uint64_t>(sum) | (row[w] & ~found->second[w]);
    }
  }
  int64_t length = 0;
  for (size_t w = 0; w < words; ++w) {
    const size_t used = std::min<size_t>(64, a.size() - w * 64);
    const uint64_t mask = used == 64 ? ~uint64_t{0} : (uint64_t{1} << used) - 1;
    length += std::popcount(~row[w] & mask);
  }
  return length;
}

namespace {

Error gold_not_text(const EvalRow& row) {
  return Error(ErrorKind::kData, {row_place(row), "the gold answer is empty or isn't UTF-8", "", "text", ""});
}

class TextMetric : public Metric {
 public:
  TextMetric(std::string name, MetricOptions options) : options_(std::move(options)) {
    result_.metric = std::move(name);
  }

  void check(const EvalRow& row) const override {
    if (trim(row.gold).empty() || first_invalid_utf8(row.gold)) throw gold_not_text(row);
  }

  RowScore add(const EvalRow& row, std::string_view prediction) override {
    check(row);
    const ParsedAnswer answer = parse_answer(prediction, {AnswerKind::kText, Grammar::kPlain, {}});
    result_.rows += 1;
    result_.malformed += answer.malformed();
    const int64_t right = result_.right, wrong = result_.wrong, missed = result_.missed;
    const double value = score(row, answer.items.empty() ? "" : *answer.items.begin());
    return {value, answer.malformed(), false, result_.right - right, result_.wrong - wrong, result_.missed - missed};
  }

 protected:
  // `answer` is valid UTF-8, empty where there is none.
  virtual double score(const EvalRow& row, const std::string& answer) = 0;

  TextUnit unit_for(std::string_view gold) const {
    if (options_.unit != TextUnit::kAuto) return options_.unit;
    return contains_cjk(gold) ? TextUnit::kCharacter : TextUnit::kWord;
  }

  MetricOptions options_;
  MetricResult result_;
};

class RougeL : public TextMetric {
 public:
  using TextMetric::TextMetric;

  MetricResult result() const override {
    MetricResult result = result_;
    if (result.rows == 0) return result;
    const auto rows = static_cast<double>(result.rows);
    result.score = f1_ / rows;
    result.precision = precision_ / rows;
    result.recall = recall_ / rows;
    return result;
  }

 protected:
  double score(const EvalRow& row, const std::string& answer) override {
    const TextUnit unit = unit_for(row.gold);
    const auto gold_sections = report_sections(row.gold);
    if (gold_sections.empty()) return count(compare(row.gold, answer, unit));
    std::map<std::string, std::string> answered;
    for (const auto& [name, text] : report_sections(answer)) answered[name] = text;
    Ratios mean = {0, 0, 0};
    for (const auto& [name, text] : gold_sections) {
      const auto found = answered.find(name);
      const Ratios one = found == answered.end() ? Ratios{0, 0, 0} : compare(text, found->second, unit);
      const auto sections = static_cast<double>(gold_sections.size());
      mean.precision += one.precision / sections;
      mean.recall += one.recall / sections;
      mean.f1 += one.f1 / sections;
    }
    return count(mean);
  }

 private:
  static Ratios compare(std::string_view gold, std::string_view answer, TextUnit unit) {
    const auto expected = segment(gold, unit);
    const auto given = segment(answer, unit);
    if (expected.empty() && given.empty()) {  // no word in either, signs at most
      const double same = trim(gold) == trim(answer) ? 1 : 0;
      return {same, same, same};
    }
    const int64_t common = common_subsequence(expected, given);
    return ratios(common, static_cast<int64_t>(given.size()) - common, static_cast<int64_t>(expected.size()) - common);
  }

  double count(const Ratios& row) {
    precision_ += row.precision;
    recall_ += row.recall;
    f1_ += row.f1;
    return row.f1;
  }

  double precision_ = 0;
  double recall_ = 0;
  double f1_ = 0;
};

class ExactMatch : public TextMetric {
 public:
  using TextMetric::TextMetric;

  MetricResult result() const override {
    MetricResult result = result_;
    if (result.rows == 0) return result;
    result.wrong = result.missed = result.rows - result.right;
    const auto right = static_cast<double>(result.right);
    const int64_t answered = result.rows - result.malformed;
    result.precision = answered == 0 ? 0 : right / static_cast<double>(answered);
    result.recall = result.score = right / static_cast<double>(result.rows);
    return result;
  }

 protected:
  double score(const EvalRow& row, const std::string& answer) override {
    const bool right = answer == trim(row.gold);
    result_.right += right;
    return right ? 1 : 0;
  }
};

// Counts of words added (positive) and taken away (negative), by word.
using WordChanges = std::map<std::string, int64_t>;

WordChanges changes(const std::vector<std::string>& from, const std::vector<std::string>& to) {
  WordChanges counts;
  for (const std::string& word : to) counts[word] += 1;
  for (const std::string& word : from) counts[word] -= 1;
  return counts;
}

class ChangedWordsF1 : public TextMetric {
 public:
  using TextMetric::TextMetric;

  void check(const EvalRow& row) const override {
    TextMetric::check(row);
    if (!source_of(row).empty()) return;
    throw Error(ErrorKind::kData,
                {row_place(row), result_.metric + " needs the source text that the answer changes", "",
                 options_.source_prefix.empty()
                     ? "the option source: f1_changed_words(source=<start of the prompt line with it>)"
                     : "a prompt line that starts with `" + options_.source_prefix + "`",
                 ""});
  }

  MetricResult result() const override {
    MetricResult result = result_;
    if (result.rows == 0) return result;
    const Ratios all = ratios(result.right, result.wrong, result.missed);
    result.score = all.f1;
    result.precision = all.precision;
    result.recall = all.recall;
    return result;
  }

 protected:
  double score(const EvalRow& row, const std::string& answer) override {
    const TextUnit unit = unit_for(row.gold);
    const auto source = segment(source_of(row), unit);
    const WordChanges expected = changes(source, segment(row.gold, unit));
    const WordChanges given = changes(source, segment(answer, unit));
    int64_t right = 0, wrong = 0, missed = 0;
    for (const auto& [word, count] : expected) {
      const auto found = given.find(word);
      const int64_t other = found == given.end() ? 0 : found->second;
      if ((count > 0) == (other > 0)) right += std::min(std::abs(count), std::abs(other));
      missed += std::abs(count);
    }
    for (const auto& [word, count] : given) wrong += std::abs(count);
    missed -= right;
    wrong -= right;
    result_.right += right;
    result_.wrong += wrong;
    result_.missed += missed;
    return ratios(right, wrong, missed).f1;
  }

 private:
  std::string source_of(const EvalRow& row) const {
    if (options_.source_prefix.empty()) return "";
    return text_after_prefix(row.prompt, options_.source_prefix);
  }
};

}  // namespace

std::unique_ptr<Metric> make_rouge_l(std::string name, MetricOptions options) {
  return std::make_unique<RougeL>(std::move(name), std::move(options));
}

std::unique_ptr<Metric> make_exact_match(std::string name, MetricOptions options) {
  return std::make_unique<ExactMatch>(std::move(name), std::move(options));
}

std::unique_ptr<Metric> make_changed_words_f1(std::string name, MetricOptions options) {
  return std::make_unique<ChangedWordsF1>(std::move(name), std::move(options));
}

}  // namespace moelora::eval
