#include "data/inspect.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "data/parallel.h"
#include "data/template_check.h"

namespace moelora::data {
namespace {

constexpr int kBarWidth = 40;

struct Lengths {
  int64_t prompt = 0;
  int64_t answer = 0;
};

int64_t characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

Lengths measure(const Task& task, const Row& row, const PromptRenderer* renderer) {
  const std::string task_prompt = task.settings.prompt.value_or("");
  Lengths lengths;
  if (renderer != nullptr) {
    if (row.is_text()) return {0, static_cast<int64_t>(renderer->text_ids(row.answer).size())};
    lengths.answer = static_cast<int64_t>(renderer->answer_ids(row.answer).size());
    // Nothing is cut under this limit; the row is named where the template refuses it.
    lengths.prompt =
        static_cast<int64_t>(fit_prompt(*renderer, row, task.settings, INT64_MAX, config::Overflow::kError).ids.size());
    return lengths;
  }
  lengths.answer = characters(row.answer);
  lengths.prompt = characters(task_prompt);
  for (const Message& message : row.messages) lengths.prompt += characters(message.content);
  return lengths;
}

/// The smallest value that at least `share` of the sorted values don't exceed.
int64_t quantile(const std::vector<int64_t>& sorted, double share) {
  const int64_t rank = static_cast<int64_t>(share * static_cast<double>(sorted.size()) + 0.999999);
  return sorted[std::clamp<int64_t>(rank, 1, static_cast<int64_t>(sorted.size())) - 1];
}

LengthReport summarise(const Task& task, Split split, const std::vector<Lengths>& rows, int64_t max_length) {
  LengthReport report{.task = task.name, .split = split, .rows = static_cast<int64_t>(rows.size())};
  std::vector<int64_t> totals;
  std::vector<int64_t> answers;
  for (const Lengths& row : rows) {
    const int64_t total = row.prompt + row.answer;
    totals.push_back(total);
    answers.push_back(row.answer);
    size_t bucket = 0;
    while (total >= kFirstHistogramBucket << bucket) ++bucket;
    if (report.histogram.size() <= bucket) report.histogram.resize(bucket + 1);
    ++report.histogram[bucket];
    report.too_long += total > max_length && row.prompt > 0;  // texts are split, never cut
    report.answer_too_long += row.answer >= max_length && row.prompt > 0;
  }
  std::ranges::sort(totals);
  std::ranges::sort(answers);
  report.shortest = totals.front();
  report.median = quantile(totals, 0.5);
  report.p90 = quantile(totals, 0.9);
  report.p99 = quantile(totals, 0.99);
  report.longest = totals.back();
  report.median_answer = quantile(answers, 0.5);
  report.longest_answer = answers.back();
  return report;
}

/// Columns a terminal gives the text: two for most characters of three or four bytes (CJK, emoji), one for others.
int64_t columns(std::string_view text) {
  int64_t width = 0;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) width += byte >= 0xE3 ? 2 : 1;
  }
  return width;
}

std::string pad(std::string text, int64_t width) {
  text.append(std::max<int64_t>(width - columns(text), 0), ' ');
  return text;
}

std::string format_text(const char* format, auto... values) {
  std::array<char, 256> line;
  std::snprintf(line.data(), line.size(), format, values...);
  return line.data();
}

std::string format_histogram(const InspectReport& report) {
  std::vector<int64_t> buckets;
  for (const LengthReport& lengths : report.lengths) {
    buckets.resize(std::max(buckets.size(), lengths.histogram.size()));
    for (size_t i = 0; i < lengths.histogram.size(); ++i) buckets[i] += lengths.histogram[i];
  }
  if (buckets.empty()) return "";
  const int64_t most = *std::ranges::max_element(buckets);
  std::string text =
      std::string("\nlength of prompt and answer, ") + (report.in_tokens ? "tokens" : "characters") + ", all rows\n";
  for (size_t i = 0; i < buckets.size(); ++i) {
    const long long low = i == 0 ? 0 : kFirstHistogramBucket << (i - 1);
    const long long high = (kFirstHistogramBucket << i) - 1;
    text += format_text("  %7lld – %-7lld %8lld  ", low, high, static_cast<long long>(buckets[i]));
    const int64_t bar = (buckets[i] * kBarWidth + most - 1) / most;
    for (int64_t j = 0; j < bar; ++j) text += "█";
    text += "\n";
  }
  return text;
}

}  // namespace

InspectReport inspect(const Dataset& dataset, const PromptRenderer* renderer, int64_t threads) {
  InspectReport report{.in_tokens = renderer != nullptr,
                       .max_length = dataset.config.max_length,
                       .files = dataset.files,
                       .overlaps = find_overlap(dataset),
                       .warnings = dataset.warnings,
                       .hash = dataset.hash};
  if (renderer != nullptr && lacks_chat_template(dataset, *renderer)) {
    report.warnings.push_back(
        "the model has no chat template: counted are the rows' plain texts, as with "
        "`template.chat: false`");
  }
  std::array<int64_t, kSplits.size()> supervised_of_split{};
  std::vector<int64_t> supervised;
  for (const Task& task : dataset.tasks) {
    for (const Split split : kSplits) {
      const std::vector<Row>& rows = task.of(split);
      if (rows.empty()) continue;
      std::vector<Lengths> lengths(rows.size());
      parallel_for(static_cast<int64_t>(rows.size()), threads,
                   [&](int64_t i) { lengths[i] = measure(task, rows[i], renderer); });
      report.lengths.push_back(summarise(task, split, lengths, report.max_length));
      int64_t answers = 0;
      for (const Lengths& row : lengths) answers += row.answer;
      supervised.push_back(answers);
      supervised_of_split[static_cast<size_t>(split)] += answers;
    }
  }
  for (size_t i = 0; i < supervised.size(); ++i) {
    const int64_t all = supervised_of_split[static_cast<size_t>(report.lengths[i].split)];
    report.lengths[i].supervised_share =
        static_cast<double>(supervised[i]) / static_cast<double>(std::max<int64_t>(all, 1));
  }
  return report;
}

std::string format_report(const InspectReport& report) {
  std::string text = "files\n";
  for (const SourceFile& file : report.files) {
    text += "  " + file.path + "  " + std::string(split_name(file.split)) + ", " + file.format + ", " +
            std::to_string(file.rows) + " rows";
    if (file.bad_rows > 0) text += ", " + std::to_string(file.bad_rows) + " malformed and skipped";
    if (!file.licence.empty()) text += ", licence: " + file.licence;
    text += "\n";
  }
  int64_t width = 4;
  for (const LengthReport& lengths : report.lengths) width = std::max(width, columns(lengths.task));
  const char* unit = report.in_tokens ? "tokens" : "characters";
  text += std::string("\ntasks (") + unit +
          " of prompt and answer; `answer`: of the answer alone; `learned`: share of supervised " + unit + ")\n";
  text += "  " + pad("task", width) +
          "  split     rows     min  median     p90     p99     max  answer   (max)  learned  too long\n";
  for (const LengthReport& row : report.lengths) {
    text += "  " + pad(row.task, width) +
            format_text("  %-5s %8lld %7lld %7lld %7lld %7lld %7lld %7lld %7lld  %6.1f%%  %8lld\n",
                        std::string(split_name(row.split)).c_str(), static_cast<long long>(row.rows),
                        static_cast<long long>(row.shortest), static_cast<long long>(row.median),
                        static_cast<long long>(row.p90), static_cast<long long>(row.p99),
                        static_cast<long long>(row.longest), static_cast<long long>(row.median_answer),
                        static_cast<long long>(row.longest_answer), 100 * row.supervised_share,
                        static_cast<long long>(row.too_long));
  }
  if (report.in_tokens) text += "  too long: over data.max_length, " + std::to_string(report.max_length) + " tokens\n";
  for (const LengthReport& row : report.lengths) {
    if (report.in_tokens && row.answer_too_long > 0) {
      text += "  error: " + std::to_string(row.answer_too_long) + " answers of " + row.task + " (" +
              std::string(split_name(row.split)) + ") leave no room for a prompt; answers are never cut\n";
    }
  }
  text += format_histogram(report);
  if (!report.overlaps.empty()) text += "\noverlap of training and test sets\n";
  for (const Overlap& overlap : report.overlaps) text += "  " + describe(overlap) + "\n";
  if (!report.warnings.empty()) text += "\nwarnings\n";
  for (const std::string& warning : report.warnings) text += "  " + warning + "\n";
  return text + "\ndata hash " + report.hash + "\n";
}

}  // namespace moelora::data
