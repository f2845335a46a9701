// Messages -> token ids of the prompt, answer -> token ids of the answer: the one place that decides what the model
// reads, the same in training, evaluation, generation and on a server that uses the model's template.
//
// A training sequence is exactly `prompt_ids` (what generation is given: the template with add_generation_prompt)
// followed by `answer_ids` (the answer and the template's end of turn, up to and including its end token). The end of
// turn is derived once, by rendering a conversation with a marked answer and reading what follows it. Qwen3 with
// enable_thinking=false closes an empty thinking block in the generation prompt; it is part of the prompt and not
// supervised.
//
// Special tokens spelled out in row text ("<|im_end|>") are read as those tokens, as transformers does; rows that must
// not be able to do so have to be cleaned before.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"
#include "data/row.h"
#include "text/assets.h"

namespace moelora::data {

class PromptRenderer {
 public:
  /// `generation_eos`: the eos ids of generation_config.json, stop tokens beside the template's own. Throws
  /// Error(kModel) where no end token can be found, Error(kConfig) where a template option isn't JSON.
  PromptRenderer(text::TextAssets assets, config::TemplateConfig config, std::span<const int64_t> generation_eos = {});

  /// Whether a chat template is used: not where the configuration says `chat: false` or the model has none. Then the
  /// prompt is the messages' contents joined by newlines, with what the tokenizer puts before every text, and the end
  /// of turn is the eos token.
  bool uses_chat_template() const { return chat_; }

  /// Messages as the template renders them, ready for the answer. `task_prompt`, where there is
  /// one, and a newline go before the last user message's content. Throws
  /// Error(kData) where the template refuses the messages.
  std::string prompt_text(std::span<const Message> messages, std::string_view task_prompt) const;
  std::vector<int32_t> prompt_ids(std::span<const Message> messages, std::string_view task_prompt) const;

  /// The answer and its end of turn.
  std::vector<int32_t> answer_ids(std::string_view answer) const;

  /// What a model answered, without its special tokens and what the template puts before an answer.
  std::string answer_text(std::span<const int32_t> ids) const;

  /// A text of its own for language modelling: what the tokenizer puts before every text, the text, the eos token.
  std::vector<int32_t> text_ids(std::string_view text) const;

  /// Where the rendering differs from plain concatenation: text that the template puts between the generation prompt
  /// and an answer (Llama-2's space, ChatGLM3's line for metadata) and that belongs to the answer's tokens; often
  /// empty.
  const std::string& answer_lead() const { return answer_lead_; }
  /// "<|im_end|>", " </s>": what ends an answer.
  const std::string& end_of_turn() const { return end_of_turn_; }
  /// Ids that end generation: the end of turn's token, the tokenizer's eos, generation_config's. Ascending.
  std::span<const int64_t> stop_ids() const { return stop_ids_; }

  const text::Tokenizer& tokenizer() const { return assets_.tokenizer; }
  const config::TemplateConfig& config() const { return config_; }
  /// XXH3-128 of the special tokens as the template sees them, their ids and the stop ids, and of what else the
  /// configuration decides of encoding (text::TextAssets::encoding). Recorded with the artefact.
  std::string special_tokens_hash() const;
  /// XXH3-128 of the template's source; empty without one. Recorded with the artefact.
  std::string template_hash() const { return chat_ ? assets_.chat_template->hash() : std::string(); }

 private:
  std::vector<int32_t> encode_prompt(const std::string& text) const;
  std::string render(std::span<const Message> messages, bool generation_prompt) const;
  void derive_end_of_turn();

  text::TextAssets assets_;
  config::TemplateConfig config_;
  text::Json variables_;
  bool chat_ = false;
  std::string answer_lead_;
  std::string end_of_turn_;
  bool ends_by_id_ = false;  // no template ends the answer: the eos token does
  std::vector<int64_t> stop_ids_;
};

/// A prompt made to fit. Only the last user message's content is cut, by characters, and the whole is rendered and
/// tokenised again: template, system message, task prompt and earlier turns stay as they are, and the ids are those of
/// the shortened text.
struct FittedPrompt {
  std::vector<int32_t> ids;   // empty where dropped
  int64_t tokens_before = 0;  // of the whole prompt
  bool cut = false;
  bool dropped = false;
};

/// `limit`: tokens the prompt may have, at least 1. Throws Error(kData) naming the row where the overflow rule is
/// kError, or where the prompt is too long even without the content that may be cut.
FittedPrompt fit_prompt(const PromptRenderer& renderer, const Row& row, const config::TaskConfig& task, int64_t limit,
                        config::Overflow overflow);

}  // namespace moelora::data
