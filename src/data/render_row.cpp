#include <algorithm>

#include "data/inspect.h"

namespace moelora::data {
namespace {

/// Without control characters that could move a terminal's cursor or hide text.
std::string printable(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) {
      const unsigned char code = static_cast<unsigned char>(text[++i]);
      out += std::string("\\x") + kHex[code >> 4] + kHex[code & 15];
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      out += std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
    } else {
      out += static_cast<char>(byte);
    }
  }
  return out;
}

}  // namespace

std::string render_row(const Dataset& dataset, int64_t task, const Row& row, const PromptRenderer& renderer,
                       const RenderRowOptions& options) {
  const text::DecodeOptions visible{.skip_special_tokens = false};
  const Task& of = dataset.tasks[task];
  std::vector<int32_t> answer = row.is_text() ? renderer.text_ids(row.answer) : renderer.answer_ids(row.answer);
  FittedPrompt prompt;
  if (!row.is_text()) {
    const int64_t room = std::max<int64_t>(dataset.config.max_length - static_cast<int64_t>(answer.size()), 1);
    prompt = fit_prompt(renderer, row, of.settings, room, of.settings.overflow.value_or(dataset.config.overflow));
  }
  std::string text = row.where() + "  task " + of.name;
  if (!row.id.empty()) text += "  id " + printable(row.id);
  if (prompt.dropped) return text + "  dropped: the prompt has " + std::to_string(prompt.tokens_before) + " tokens\n";
  text += "  prompt " + std::to_string(prompt.ids.size()) + " tokens";
  if (prompt.cut) text += " (cut from " + std::to_string(prompt.tokens_before) + ")";
  text += ", supervised " + std::to_string(answer.size() - (prompt.ids.empty() ? 1 : 0)) + "\n";
  text += printable(renderer.tokenizer().decode(prompt.ids, visible));
  text += options.colour ? "\x1b[32m" : "⟦";
  text += printable(renderer.tokenizer().decode(answer, visible));
  text += options.colour ? "\x1b[0m" : "⟧";
  return text + "\n";
}

}  // namespace moelora::data
