#include "data/encode.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "data/evenly_spaced.h"
#include "data/parallel.h"

namespace moelora::data {
namespace {

constexpr size_t kMostErrors = 20;

struct Item {
  int64_t task = 0;
  int64_t row = 0;
};

struct Encoded {
  bool is_text = false;
  FittedPrompt prompt;
  std::vector<int32_t> answer;
  std::optional<Error> error;
};

std::vector<Item> list_items(const Dataset& dataset, Split split, int64_t most) {
  std::vector<Item> items;
  for (size_t task = 0; task < dataset.tasks.size(); ++task) {
    for (const int64_t row : evenly_spaced(std::ssize(dataset.tasks[task].of(split)), most)) {
      items.push_back({static_cast<int64_t>(task), row});
    }
  }
  return items;
}

/// Encodes every item in parallel; errors of rows are collected and thrown together, in the order of the rows.
template <typename EncodeRow>
std::vector<Encoded> encode_items(const Dataset& dataset, Split split, const std::vector<Item>& items, int64_t threads,
                                  const EncodeRow& encode_row) {
  std::vector<Encoded> encoded(items.size());
  parallel_for(static_cast<int64_t>(items.size()), threads, [&](int64_t i) {
    const Task& task = dataset.tasks[items[i].task];
    try {
      encode_row(task, task.of(split)[items[i].row], encoded[i]);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      encoded[i].error = error;
    }
  });
  std::vector<Error> errors;
  for (const Encoded& row : encoded) {
    if (row.error && errors.size() < kMostErrors) errors.push_back(*row.error);
  }
  if (!errors.empty()) throw ErrorList(std::move(errors));
  return encoded;
}

void count_prompt(const FittedPrompt& prompt, TaskTokens& stats) {
  ++stats.rows;
  stats.cut += prompt.cut;
  stats.dropped += prompt.dropped;
  stats.removed_tokens += std::max<int64_t>(prompt.tokens_before - static_cast<int64_t>(prompt.ids.size()), 0);
}

/// Pieces of at most `limit` tokens; each begins with the last token of the one before it. A single token predicts
/// nothing: dropped.
void append_pieces(const Item& item, std::span<const int32_t> ids, int64_t limit, EncodedRows& rows) {
  const int64_t size = static_cast<int64_t>(ids.size());
  if (size < 2) {
    ++rows.stats(item.task).dropped;
    return;
  }
  limit = std::max<int64_t>(limit, 2);  // a piece of one token would never end
  int64_t begin = 0;
  do {
    const int64_t length = std::min(limit, size - begin);
    rows.append(item.task, item.row, {}, ids.subspan(begin, length));
    begin += length - 1;
  } while (begin < size - 1);
}

/// Of a row that isn't dropped: a tokenizer may make nothing of blanks, say.
void require_tokens(const FittedPrompt& prompt, const Row& row) {
  if (!prompt.ids.empty() || prompt.dropped) return;
  throw Error(ErrorKind::kData, {row.where(), "the prompt becomes no tokens"});
}

config::Overflow overflow_of(const Dataset& dataset, const Task& task) {
  return task.settings.overflow.value_or(dataset.config.overflow);
}

}  // namespace

std::span<const int32_t> EncodedRows::ids(int64_t sample) const {
  const int64_t begin = sample == 0 ? 0 : ends_[sample - 1];
  return std::span(ids_).subspan(begin, ends_[sample] - begin);
}

std::span<const int32_t> EncodedRows::prompt(int64_t sample) const {
  const int64_t begin = sample == 0 ? 0 : ends_[sample - 1];
  return std::span(ids_).subspan(begin, answers_[sample] - begin);
}

std::span<const int32_t> EncodedRows::answer(int64_t sample) const {
  return std::span(ids_).subspan(answers_[sample], ends_[sample] - answers_[sample]);
}

int64_t EncodedRows::supervised(int64_t sample) const {
  const int64_t answer = static_cast<int64_t>(this->answer(sample).size());
  return prompt(sample).empty() ? std::max<int64_t>(answer - 1, 0) : answer;
}

void EncodedRows::append(int64_t task, int64_t row, std::span<const int32_t> prompt, std::span<const int32_t> answer) {
  ids_.insert(ids_.end(), prompt.begin(), prompt.end());
  answers_.push_back(static_cast<int64_t>(ids_.size()));
  ids_.insert(ids_.end(), answer.begin(), answer.end());
  ends_.push_back(static_cast<int64_t>(ids_.size()));
  tasks_.push_back(static_cast<int32_t>(task));
  rows_.push_back(row);
  TaskTokens& stats = stats_[task];
  ++stats.samples;
  stats.prompt_tokens += static_cast<int64_t>(prompt.size());
  stats.answer_tokens += supervised(size() - 1);
}

EncodedRows encode_rows(const Dataset& dataset, Split split, const PromptRenderer& renderer,
                        const EncodeOptions& options) {
  const int64_t limit = dataset.config.max_length;
  const std::vector<Item> items = list_items(dataset, split, options.max_rows_per_task);
  const auto encode_row = [&](const Task& task, const Row& row, Encoded& encoded) {
    encoded.is_text = row.is_text();
    if (encoded.is_text) {
      encoded.answer = renderer.text_ids(row.answer);
      return;
    }
    encoded.answer = renderer.answer_ids(row.answer);
    const int64_t room = limit - static_cast<int64_t>(encoded.answer.size());
    if (room < 1) {
      throw Error(ErrorKind::kData, {row.where(), "the answer leaves no room for a prompt: answers are never cut",
                                     std::to_string(encoded.answer.size()) + " tokens with the end token",
                                     "less than data.max_length, " + std::to_string(limit)});
    }
    encoded.prompt = fit_prompt(renderer, row, task.settings, room, overflow_of(dataset, task));
    require_tokens(encoded.prompt, row);
  };
  std::vector<Encoded> encoded = encode_items(dataset, split, items, options.threads, encode_row);

  EncodedRows rows(static_cast<int64_t>(dataset.tasks.size()));
  for (size_t i = 0; i < items.size(); ++i) {
    const Encoded row = std::move(encoded[i]);  // freed here: one copy of all tokens, not two
    count_prompt(row.prompt, rows.stats(items[i].task));
    if (row.prompt.dropped) continue;
    if (row.is_text) {
      append_pieces(items[i], row.answer, limit, rows);
    } else {
      rows.append(items[i].task, items[i].row, row.prompt.ids, row.answer);
    }
  }
  return rows;
}

EncodedRows encode_prompts(const Dataset& dataset, Split split, const PromptRenderer& renderer,
                           int64_t max_prompt_tokens, const EncodeOptions& options) {
  const std::vector<Item> items = list_items(dataset, split, options.max_rows_per_task);
  const auto encode_row = [&](const Task& task, const Row& row, Encoded& encoded) {
    if (row.is_text())
      throw Error(ErrorKind::kData, {row.where(), "a row of the text format has no prompt to generate from"});
    encoded.prompt = fit_prompt(renderer, row, task.settings, max_prompt_tokens, overflow_of(dataset, task));
    require_tokens(encoded.prompt, row);
  };
  std::vector<Encoded> encoded = encode_items(dataset, split, items, options.threads, encode_row);
  EncodedRows rows(static_cast<int64_t>(dataset.tasks.size()));
  for (size_t i = 0; i < items.size(); ++i) {
    const Encoded row = std::move(encoded[i]);
    count_prompt(row.prompt, rows.stats(items[i].task));
    if (!row.prompt.dropped) rows.append(items[i].task, items[i].row, row.prompt.ids, {});
  }
  return rows;
}

}  // namespace moelora::data
