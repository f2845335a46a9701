#include "eval/baselines.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_map>

#include "core/error.h"
#include "core/random.h"
#include "core/suggest.h"

namespace moelora::eval {
namespace {

std::string majority_answer(std::span<const EvalRow> train) {
  std::map<std::string_view, int64_t> counts;
  for (const EvalRow& row : train) counts[trim(row.gold)] += 1;
  const auto most =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(most->first);
}

std::string longest_line(std::string_view prompt) {
  std::string_view longest;
  for (const std::string_view line : non_empty_lines(prompt)) {
    if (line.size() > longest.size()) longest = line;
  }
  return std::string(longest);
}

class NaiveBayes {
 public:
  NaiveBayes(std::span<const EvalRow> train, TextUnit unit) : unit_(unit) {
    for (const EvalRow& row : train) {
      const auto [found, is_new] = class_of_.try_emplace(std::string(trim(row.gold)), answers_.size());
      if (is_new) {
        answers_.push_back(found->first);
        rows_.push_back(0);
        words_.push_back(0);
      }
      const size_t which = found->second;
      rows_[which] += 1;
      for (const std::string& word : segment(replace_invalid_utf8(row.prompt), unit_)) {
        counts_[word][which] += 1;
        words_[which] += 1;
      }
    }
  }

  std::string answer(const EvalRow& row) const {
    std::vector<size_t> candidates;
    for (const std::string& choice : row.choices) {
      const auto found = class_of_.find(std::string(trim(choice)));
      if (found != class_of_.end()) candidates.push_back(found->second);
    }
    if (candidates.empty()) {
      for (size_t i = 0; i < answers_.size(); ++i) candidates.push_back(i);
    }
    std::vector<double> log_odds(answers_.size());
    for (const size_t i : candidates) log_odds[i] = std::log(static_cast<double>(rows_[i]));
    const auto vocabulary = static_cast<double>(counts_.size());
    for (const std::string& word : segment(replace_invalid_utf8(row.prompt), unit_)) {
      const auto found = counts_.find(word);
      if (found == counts_.end()) continue;
      for (const size_t i : candidates) {
        const auto seen = found->second.find(i);
        const double count = seen == found->second.end() ? 0 : static_cast<double>(seen->second);
        log_odds[i] += std::log((count + 1) / (static_cast<double>(words_[i]) + vocabulary));
      }
    }
    const size_t best = *std::max_element(candidates.begin(), candidates.end(),
                                          [&](size_t a, size_t b) { return log_odds[a] < log_odds[b]; });
    return answers_[best];
  }

 private:
  TextUnit unit_;
  std::map<std::string, size_t> class_of_;
  std::vector<std::string> answers_;
  std::vector<int64_t> rows_;                                                    // training rows of each class
  std::vector<int64_t> words_;                                                   // words of its prompts
  std::unordered_map<std::string, std::unordered_map<size_t, int64_t>> counts_;  // word -> class -> how often
};

std::vector<std::string> random_answers(std::span<const EvalRow> train, std::span<const EvalRow> test, uint64_t seed) {
  std::vector<std::string> answers;
  for (size_t i = 0; i < test.size(); ++i) {
    Random random(seed, RandomStream::kData, i);
    const auto& choices = test[i].choices;
    answers.push_back(choices.empty() ? train[random.below(train.size())].gold : choices[random.below(choices.size())]);
  }
  return answers;
}

}  // namespace

const std::vector<std::string>& baseline_names() {
  static const std::vector<std::string> names = {"majority", "random", "copy", "bayes"};
  return names;
}

std::vector<std::string> baselines_for_metric(std::string_view metric) {
  const AnswerKind answers = metric_facts(metric).answers;
  if (answers == AnswerKind::kLabel) return {"majority", "random", "bayes"};
  if (answers == AnswerKind::kText) return {"majority", "random", "copy"};
  return {"majority", "random"};
}

std::vector<std::string> baseline_answers(std::string_view name, std::span<const EvalRow> train,
                                          std::span<const EvalRow> test, const BaselineOptions& options) {
  const auto& names = baseline_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw Error(ErrorKind::kConfig, {"baseline", "unknown baseline `" + std::string(name) + "`", "", list_names(names),
                                     did_you_mean(name, names)});
  }
  const bool every_row_has_choices =
      std::all_of(test.begin(), test.end(), [](const EvalRow& row) { return !row.choices.empty(); });
  if (train.empty() && name != "copy" && !(name == "random" && every_row_has_choices)) {
    throw Error(ErrorKind::kData,
                {"baseline " + std::string(name), "there are no training rows to learn from", "", "", ""});
  }
  if (name == "majority") return std::vector<std::string>(test.size(), majority_answer(train));
  if (name == "random") return random_answers(train, test, options.seed);
  std::vector<std::string> answers;
  if (name == "bayes") {
    const NaiveBayes model(train, options.unit);
    for (const EvalRow& row : test) answers.push_back(model.answer(row));
    return answers;
  }
  for (const EvalRow& row : test) {
    std::string source;
    if (!options.source_prefix.empty()) source = text_after_prefix(row.prompt, options.source_prefix);
    answers.push_back(source.empty() ? longest_line(row.prompt) : source);
  }
  return answers;
}

}  // namespace moelora::eval
