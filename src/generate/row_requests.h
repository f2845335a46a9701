// From a row to what the engine is asked: the run's template, task prompts and limits, as in training and evaluation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/prompt.h"
#include "data/row.h"
#include "generate/text_engine.h"

namespace moelora::generate {

/// What is asked of every row.
struct Wish {
  Sampling sampling;
  int64_t max_new_tokens = 0;  // 0: the task's, else eval.max_new_tokens
  int64_t logprobs = -1;       // Request::logprobs
  std::vector<std::string> stop;
  bool choose = false;              // the answer is a label:
  std::vector<std::string> labels;  // one of these; where there are none of the row's choices, else the task's labels
};

class RowRequests {
 public:
  /// `tasks`: the run's, in the order of its adapters. All must outlive this.
  RowRequests(const adapters::Model& model, const data::PromptRenderer& renderer, const config::RunConfig& config,
              std::vector<std::string> tasks, Wish wish)
      : model_(model), renderer_(renderer), config_(config), tasks_(std::move(tasks)), wish_(std::move(wish)) {}

  /// The request of one row, its id still to be set. Throws Error (kData), naming the row, for a task that the run
  /// doesn't have or none, for messages that the template refuses, and where a label is to be chosen and there are
  /// none.
  TextRequest of(const data::Row& row) const;

 private:
  int64_t task_index(const data::Row& row) const;
  std::vector<Label> labels_of(const data::Row& row, const config::TaskConfig& task) const;

  const adapters::Model& model_;
  const data::PromptRenderer& renderer_;
  const config::RunConfig& config_;
  std::vector<std::string> tasks_;
  Wish wish_;
};

}  // namespace moelora::generate
