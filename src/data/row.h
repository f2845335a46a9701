// One training or test row, the same whatever format it was read from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace moelora::data {

struct Message {
  std::string role;  // system, user or assistant
  std::string content;
};

struct Row {
  std::string task;                         // empty until the data set resolves it
  std::string id;                           // the row's `id` or `sample_id`; empty where it has none
  std::string group;                        // value of the configured group field; empty where none is configured
  std::vector<Message> messages;            // what the model is given, in order; empty for a row of the text format
  std::string answer;                       // what it must write; for the text format the whole text
  std::vector<std::string> answer_choices;  // empty: free
  std::string task_type;                    // cls, ner, …: PromptCBLUE's field; empty where the row has none
  std::shared_ptr<const std::string> file;  // shared by the rows of one file; never null in a row that was read
  int64_t line = 0;                         // from 1: where the row begins

  /// Plain language modelling: every token of `answer` is supervised and there is no prompt.
  bool is_text() const { return messages.empty(); }
  /// "file:line" for errors.
  std::string where() const { return (file ? *file : std::string("row")) + ":" + std::to_string(line); }
};

}  // namespace moelora::data
