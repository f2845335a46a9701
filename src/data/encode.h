// Rows -> token ids, in parallel and kept compactly: what training packs and evaluation decodes from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/prompt.h"

namespace moelora::data {

/// What encoding did with one task's rows.
struct TaskTokens {
  int64_t rows = 0;
  int64_t samples = 0;         // rows less the dropped ones; more where long texts were split
  int64_t cut = 0;             // prompts shortened
  int64_t dropped = 0;         // rows left out because their prompt is too long
  int64_t removed_tokens = 0;  // by cutting and dropping
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;  // supervised: end tokens included
};

/// Samples of one split, all tasks, in the order of tasks and rows. Token ids stand in one array of int32.
class EncodedRows {
 public:
  int64_t size() const { return static_cast<int64_t>(tasks_.size()); }
  int64_t task_count() const { return static_cast<int64_t>(stats_.size()); }

  std::span<const int32_t> ids(int64_t sample) const;  // prompt and answer
  std::span<const int32_t> prompt(int64_t sample) const;
  std::span<const int32_t> answer(int64_t sample) const;  // with its end token; empty for prompts of evaluation
  /// Tokens whose prediction is supervised: the answer's; of a text without prompt all but the first.
  int64_t supervised(int64_t sample) const;
  int64_t task(int64_t sample) const { return tasks_[sample]; }
  /// Index into Task::of(split).
  int64_t row(int64_t sample) const { return rows_[sample]; }
  std::span<const TaskTokens> stats() const { return stats_; }

  void append(int64_t task, int64_t row, std::span<const int32_t> prompt, std::span<const int32_t> answer);
  explicit EncodedRows(int64_t task_count = 0) : stats_(task_count) {}
  TaskTokens& stats(int64_t task) { return stats_[task]; }

 private:
  std::vector<int32_t> ids_;
  std::vector<int64_t> ends_;     // [n], past the last id of each sample
  std::vector<int64_t> answers_;  // [n], where each answer begins in ids_
  std::vector<int32_t> tasks_;
  std::vector<int64_t> rows_;
  std::vector<TaskTokens> stats_;
};

struct EncodeOptions {
  int64_t threads = 0;            // 0: all usable cores; never changes the result
  int64_t max_rows_per_task = 0;  // evenly spaced; 0: all
};

/// Prompt and answer of every row, at most data.max_length tokens together. Prompts that are too long follow the task's
/// overflow rule; texts (rows without prompt) are split into pieces that overlap by one token, so that every token is
/// predicted once. Throws ErrorList(kData) with file and line for answers over the limit, for prompts under
/// Overflow::kError and for prompts without a token (the first 20).
EncodedRows encode_rows(const Dataset& dataset, Split split, const PromptRenderer& renderer,
                        const EncodeOptions& options = {});

/// Prompts alone, for generation: at most `max_prompt_tokens` each, so that nothing depends on the reference answer.
/// The overflow rules are the same. Throws ErrorList(kData) for text rows, which have no prompt, and for prompts
/// without a token.
EncodedRows encode_prompts(const Dataset& dataset, Split split, const PromptRenderer& renderer,
                           int64_t max_prompt_tokens, const EncodeOptions& options = {});

}  // namespace moelora::data
