// Micro F1 over the items of answers that are sets.
#include "core/error.h"
#include "eval/metrics.h"

namespace moelora::eval {

Ratios ratios(int64_t right, int64_t wrong, int64_t missed) {
  if (right + wrong + missed == 0) return {1, 1, 1};
  const double hits = static_cast<double>(right);
  const auto share = [&](int64_t of) { return of == 0 ? 0.0 : hits / static_cast<double>(of); };
  return {share(right + wrong), share(right + missed), 2 * hits / static_cast<double>(2 * right + wrong + missed)};
}

std::string row_place(const EvalRow& row) {
  return "row " + row.id;
}

namespace {

class ItemF1 : public Metric {
 public:
  ItemF1(std::string name, AnswerKind kind, MetricOptions options) : kind_(kind), options_(std::move(options)) {
    result_.metric = std::move(name);
  }

  void check(const EvalRow& row) const override { read_gold(row, resolve(row)); }

  RowScore add(const EvalRow& row, std::string_view prediction) override {
    const Grammar grammar = resolve(row);
    const ParsedAnswer gold = read_gold(row, grammar);
    const ParsedAnswer answer = parse_answer(prediction, {kind_, grammar, row.choices});
    int64_t right = 0;
    bool off_list = false;
    for (const std::string& item : answer.items) {
      const bool is_gold = gold.items.contains(item);
      right += is_gold;
      off_list |= !is_gold && answer.off_list.contains(item);
    }
    const int64_t wrong = static_cast<int64_t>(answer.items.size() + answer.unreadable.size()) - right;
    const int64_t missed = static_cast<int64_t>(gold.items.size()) - right;
    result_.rows += 1;
    result_.malformed += answer.malformed();
    result_.off_list += off_list;
    result_.gold_unreadable += static_cast<int64_t>(gold.unreadable.size());
    result_.right += right;
    result_.wrong += wrong;
    result_.missed += missed;
    return {ratios(right, wrong, missed).f1, answer.malformed(), off_list, right, wrong, missed};
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

 private:
  Grammar resolve(const EvalRow& row) const { return resolve_grammar(options_.grammar, row.gold, row.choices); }

  ParsedAnswer read_gold(const EvalRow& row, Grammar grammar) const {
    ParsedAnswer gold = parse_answer(row.gold, {kind_, grammar, row.choices});
    if (gold.items.empty() && gold.malformed()) {
      throw Error(ErrorKind::kData,
                  {row_place(row), "the gold answer can't be read as " + std::string(answer_kind_name(kind_)), "",
                   grammar == Grammar::kPlain ? "an answer of the plain grammar, `none` for an empty one"
                                              : "an answer of the promptcblue grammar",
                   "choose another metric or grammar for this task"});
    }
    return gold;
  }

  AnswerKind kind_;
  MetricOptions options_;
  MetricResult result_;
};

}  // namespace

std::unique_ptr<Metric> make_item_f1(std::string name, AnswerKind kind, MetricOptions options) {
  return std::make_unique<ItemF1>(std::move(name), kind, std::move(options));
}

}  // namespace moelora::eval
