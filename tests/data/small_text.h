// A small byte-level tokenizer with a Qwen-shaped chat template, made in the test: real templates are tested where they
// were fetched.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/prompt.h"
#include "text/assets.h"
#include "text/tokenizer_trainer.h"

namespace moelora::data {

inline constexpr const char* kSmallTemplate =
    "{%- for message in messages %}{{ '<|start|>' + message.role + '\\n' + message.content + '<|end|>\\n' }}{%- endfor "
    "%}"
    "{%- if add_generation_prompt %}{{ '<|start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif "
    "%}{%- endif %}";

inline text::TextAssets small_assets(bool with_template = true) {
  const std::vector<std::string> texts = {
      "the quick brown fox jumps over the lazy dog, and asks which code the note belongs to",
      "system user assistant question answer"};
  const text::BpeTrainingOptions options{
      .vocab_size = 320, .special_tokens = {"<|eos|>", "<|start|>", "<|end|>"}, .min_frequency = 1};
  text::TextAssets assets{
      .tokenizer = text::Tokenizer::from_json(text::train_byte_level_bpe(texts, options), "small tokenizer")};
  assets.eos = text::SpecialToken{"<|eos|>", *assets.tokenizer.token_to_id("<|eos|>")};
  if (with_template) assets.chat_template = text::ChatTemplate(kSmallTemplate, "small template");
  return assets;
}

inline Row made_row(const std::string& prompt, const std::string& answer) {
  Row row;
  row.messages = {{"user", prompt}};
  row.answer = answer;
  row.file = std::make_shared<std::string>("made.jsonl");
  row.line = 7;
  return row;
}

/// A data set of the rows, all for training, without files.
inline Dataset made_dataset(std::vector<std::pair<std::string, std::vector<Row>>> tasks) {
  Dataset dataset;
  for (auto& [name, rows] : tasks) {
    Task& task = dataset.tasks.emplace_back();
    task.name = name;
    task.rows[static_cast<size_t>(Split::kTrain)] = std::move(rows);
  }
  return dataset;
}

}  // namespace moelora::data
