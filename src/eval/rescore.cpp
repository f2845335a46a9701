#include "eval/rescore.h"

#include <map>

#include "eval/metrics.h"

namespace moelora::eval {
namespace {

double macro_f1(std::span<const RowScore> rows, std::span<const int64_t> counts) {
  struct Class {
    int64_t right = 0, gold = 0, answered = 0;
  };
  std::map<std::string_view, Class> classes;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (counts[i] == 0) continue;
    classes[rows[i].gold].gold += counts[i];
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (counts[i] == 0 || rows[i].answered.empty()) continue;
    const auto known = classes.find(rows[i].answered);
    if (!rows[i].listed && (known == classes.end() || known->second.gold == 0)) continue;  // no class: off the list
    classes[rows[i].answered].answered += counts[i];
    if (rows[i].answered == rows[i].gold) classes[rows[i].gold].right += counts[i];
  }
  double sum = 0;
  for (const auto& [name, one] : classes) sum += ratios(one.right, one.answered - one.right, one.gold - one.right).f1;
  return classes.empty() ? 0 : sum / static_cast<double>(classes.size());
}

}  // namespace

bool counts_items(std::string_view metric) {
  return metric_facts(metric).score == ScoreFrom::kItems;
}

double rescore(std::string_view metric, std::span<const RowScore> rows, std::span<const int64_t> counts) {
  const ScoreFrom from = metric_facts(metric).score;
  if (from == ScoreFrom::kClasses) return macro_f1(rows, counts);
  int64_t taken = 0, right = 0, wrong = 0, missed = 0;
  double sum = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    taken += counts[i];
    right += counts[i] * rows[i].right;
    wrong += counts[i] * rows[i].wrong;
    missed += counts[i] * rows[i].missed;
    sum += static_cast<double>(counts[i]) * rows[i].score;
  }
  if (taken == 0) return 0;
  return from == ScoreFrom::kItems ? ratios(right, wrong, missed).f1 : sum / static_cast<double>(taken);
}

}  // namespace moelora::eval
