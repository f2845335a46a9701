#include "generate/row_requests.h"

#include <algorithm>

#include "core/error.h"
#include "core/suggest.h"
#include "data/row_prompt.h"

namespace moelora::generate {

int64_t RowRequests::task_index(const data::Row& row) const {
  const auto task = std::ranges::find(tasks_, row.task);
  if (task == tasks_.end()) {
    throw Error(ErrorKind::kData,
                {.where = row.where(),
                 .problem = row.task.empty() ? "the row names no task" : "the run has no such task",
                 .found = row.task,
                 .expected = "one of " + list_names(tasks_),
                 .hint = row.task.empty() ? "name one for all rows with --task" : did_you_mean(row.task, tasks_)});
  }
  return task - tasks_.begin();
}

std::vector<Label> RowRequests::labels_of(const data::Row& row, const config::TaskConfig& task) const {
  const std::vector<std::string>& texts = !wish_.labels.empty()         ? wish_.labels
                                          : !row.answer_choices.empty() ? row.answer_choices
                                                                        : task.labels;
  if (texts.empty()) {
    throw Error(ErrorKind::kData, {.where = row.where(),
                                   .problem = "there are no labels to choose from",
                                   .expected = "--labels with values, answer_choices in the row, or "
                                               "tasks." +
                                               row.task + ".labels in the run's configuration"});
  }
  std::vector<Label> labels;
  for (const std::string& text : texts) labels.push_back({text, renderer_.answer_ids(text)});
  return labels;
}

TextRequest RowRequests::of(const data::Row& row) const {
  const int64_t task = task_index(row);
  const auto settings = config_.tasks.find(row.task);
  const config::TaskConfig task_config = settings == config_.tasks.end() ? config::TaskConfig{} : settings->second;
  TextRequest request{.request = {.task = model_.adapters ? task : 0,  // a model without adapters is one for all tasks
                                  .prompt = data::row_prompt_ids(renderer_, row, task_config.prompt.value_or("")),
                                  .max_new_tokens = wish_.max_new_tokens > 0 ? wish_.max_new_tokens
                                                                             : task_config.max_new_tokens.value_or(
                                                                                   config_.eval.max_new_tokens),
                                  .sampling = wish_.sampling,
                                  .logprobs = wish_.logprobs,
                                  .where = row.where()},
                      .stop = wish_.stop,
                      .lead = renderer_.answer_lead()};
  if (wish_.choose) request.labels = labels_of(row, task_config);
  return request;
}

}  // namespace moelora::generate
