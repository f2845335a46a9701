#include "data/prompt.h"

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"
#include "data/row_prompt.h"

namespace moelora::data {
namespace {

// Letters and digits alone, so that no template trims, splits or escapes it.
constexpr std::string_view kMark = "MoeloraAnswerMark7349";

text::Json to_json(std::span<const Message> messages) {
  text::Json array = text::Json::array();
  for (const Message& message : messages) array.push_back({{"role", message.role}, {"content", message.content}});
  return array;
}

/// The message that a task prompt goes into: the last of the user, else the last.
size_t last_user(std::span<const Message> messages) {
  for (size_t i = messages.size(); i > 0; --i) {
    if (messages[i - 1].role == "user") return i - 1;
  }
  return messages.size() - 1;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

void append(std::vector<int32_t>& ids, const std::vector<int32_t>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

PromptRenderer::PromptRenderer(text::TextAssets assets, config::TemplateConfig config,
                               std::span<const int64_t> generation_eos)
    : assets_(std::move(assets)), config_(std::move(config)), variables_(assets_.template_variables) {
  chat_ = config_.chat && assets_.chat_template.has_value();
  for (const auto& [name, value] : config_.options) {
    text::Json parsed = text::Json::parse(value, nullptr, false);
    if (parsed.is_discarded()) {
      throw Error(ErrorKind::kConfig,
                  {"template.options." + name, "the value isn't JSON", "`" + value + "`", "true, 3, \"text\" …"});
    }
    variables_[name] = std::move(parsed);
  }
  stop_ids_.assign(generation_eos.begin(), generation_eos.end());
  if (assets_.eos) stop_ids_.push_back(assets_.eos->id);
  derive_end_of_turn();
  std::ranges::sort(stop_ids_);
  stop_ids_.erase(std::unique(stop_ids_.begin(), stop_ids_.end()), stop_ids_.end());
}

std::string PromptRenderer::special_tokens_hash() const {
  text::Json ids = text::Json::array();
  for (const auto* token : {&assets_.bos, &assets_.eos, &assets_.pad, &assets_.unk}) {
    ids.push_back(*token ? text::Json((*token)->id) : text::Json());
  }
  text::Json all = {assets_.template_variables, ids, stop_ids_};
  if (!assets_.encoding.empty()) all.push_back(assets_.encoding);
  return hash_hex(all.dump());
}

std::string PromptRenderer::render(std::span<const Message> messages, bool generation_prompt) const {
  text::RenderOptions options{.add_generation_prompt = generation_prompt, .variables = variables_};
  return assets_.chat_template->render(to_json(messages), options);
}

void PromptRenderer::derive_end_of_turn() {
  const text::Tokenizer& tokenizer = assets_.tokenizer;
  const text::EncodeOptions bare{.add_special_tokens = false};
  if (chat_) {
    const std::vector<Message> turn = {{"user", "Question"}, {"assistant", std::string(kMark)}};
    const std::string prompt = render(std::span(turn).first(1), true);
    const std::string whole = render(turn, false);
    const size_t mark = whole.rfind(kMark);
    if (mark == std::string::npos) {
      throw Error(ErrorKind::kModel,
                  {assets_.chat_template->name(), "the chat template doesn't render the assistant's answer", "",
                   "a template for training, or `template.chat: false`"});
    }
    const std::string tail = whole.substr(mark + kMark.size());
    for (const int32_t id : tokenizer.encode(tail, bare)) {
      if (!tokenizer.is_special(id)) continue;
      const std::string token = tokenizer.id_to_token(id).value_or("");
      const size_t place = tail.find(token);
      if (token.empty() || place == std::string::npos) continue;
      end_of_turn_ = tail.substr(0, place + token.size());
      stop_ids_.push_back(id);
      break;
    }
    // A blank between generation prompt and answer belongs to the answer only where tokenising the two apart needs it:
    // a SentencePiece tokenizer puts the space there by itself.
    if (whole.starts_with(prompt) && mark > prompt.size()) {
      const std::string lead = whole.substr(prompt.size(), mark - prompt.size());
      const std::string answer = std::string(kMark) + end_of_turn_;
      const std::vector<int32_t> together = tokenizer.encode(prompt + lead + answer, bare);
      std::vector<int32_t> without = tokenizer.encode(prompt, bare);
      std::vector<int32_t> with = without;
      append(without, tokenizer.encode(answer, bare));
      append(with, tokenizer.encode(lead + answer, bare));
      if (is_blank(lead) && without != together && with == together) answer_lead_ = lead;
    }
  }
  if (end_of_turn_.empty()) {
    if (!assets_.eos) {
      throw Error(ErrorKind::kModel,
                  {tokenizer.name(), "no token ends an answer", "no eos_token in tokenizer_config.json",
                   "an eos_token, or a chat template with an end-of-turn token"});
    }
    end_of_turn_ = assets_.eos->text;
    ends_by_id_ = true;
  }
}

std::string PromptRenderer::prompt_text(std::span<const Message> messages, std::string_view task_prompt) const {
  if (messages.empty()) throw Error(ErrorKind::kData, {"prompt", "there are no messages", "", "at least one"});
  std::vector<Message> whole;
  const bool has_system =
      std::ranges::any_of(messages, [](const Message& message) { return message.role == "system"; });
  if (!has_system && !config_.system.empty()) whole.push_back({"system", config_.system});
  whole.insert(whole.end(), messages.begin(), messages.end());
  if (!task_prompt.empty()) whole[last_user(whole)].content.insert(0, std::string(task_prompt) + "\n");
  if (chat_) return render(whole, true);
  std::string text;
  for (const Message& message : whole) {
    if (message.content.empty()) continue;
    text += (text.empty() ? "" : "\n") + message.content;
  }
  return text;
}

std::vector<int32_t> PromptRenderer::encode_prompt(const std::string& text) const {
  return assets_.tokenizer.encode(text, {.add_special_tokens = !chat_});
}

std::vector<int32_t> PromptRenderer::prompt_ids(std::span<const Message> messages, std::string_view task_prompt) const {
  return encode_prompt(prompt_text(messages, task_prompt));
}

std::vector<int32_t> PromptRenderer::answer_ids(std::string_view answer) const {
  const text::EncodeOptions bare{.add_special_tokens = false};
  if (!ends_by_id_) return assets_.tokenizer.encode(answer_lead_ + std::string(answer) + end_of_turn_, bare);
  std::vector<int32_t> ids = assets_.tokenizer.encode(answer_lead_ + std::string(answer), bare);
  ids.push_back(assets_.eos->id);
  return ids;
}

std::string PromptRenderer::answer_text(std::span<const int32_t> ids) const {
  std::string text = assets_.tokenizer.decode(ids, {.skip_special_tokens = true});
  if (text.starts_with(answer_lead_)) text.erase(0, answer_lead_.size());
  return text;
}

std::vector<int32_t> PromptRenderer::text_ids(std::string_view text) const {
  std::vector<int32_t> ids = assets_.tokenizer.encode(text, {.add_special_tokens = true});
  if (!assets_.eos) {
    throw Error(ErrorKind::kModel, {assets_.tokenizer.name(), "no token ends a text",
                                    "no eos_token in tokenizer_config.json", "an eos_token"});
  }
  if (ids.empty() || ids.back() != assets_.eos->id) ids.push_back(assets_.eos->id);
  return ids;
}

namespace {

/// Byte offsets of the characters of `text`, and its end.
std::vector<size_t> character_offsets(std::string_view text) {
  std::vector<size_t> offsets;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) offsets.push_back(i);
  }
  offsets.push_back(text.size());
  return offsets;
}

class Cutter {
 public:
  Cutter(const PromptRenderer& renderer, const Row& row, std::string_view task_prompt, config::Overflow overflow)
      : renderer_(renderer),
        messages_(row.messages),
        task_prompt_(task_prompt),
        middle_(overflow == config::Overflow::kCutMiddle),
        place_(last_user(messages_)),
        content_(messages_[place_].content),
        offsets_(character_offsets(content_)) {}

  /// The most characters whose prompt has at most `limit` tokens, to within kSlack tokens. Empty where even none of the
  /// content fits; `least` is then the tokens of the rest.
  std::vector<int32_t> fit(int64_t limit, int64_t tokens_whole, int64_t& least) {
    constexpr int64_t kSlack = 4;
    constexpr int kInterpolations = 8;  // then bisection, so that the search ends whatever the text
    int64_t low = 0;
    int64_t high = static_cast<int64_t>(offsets_.size()) - 1;
    std::vector<int32_t> best = ids(0);
    least = static_cast<int64_t>(best.size());
    if (least > limit) return {};
    int64_t tokens_high = tokens_whole;
    for (int round = 0; high - low > 1 && limit - static_cast<int64_t>(best.size()) > kSlack; ++round) {
      const int64_t tokens_low = static_cast<int64_t>(best.size());
      int64_t keep = low + (high - low) / 2;
      if (round < kInterpolations && tokens_high > tokens_low) {
        keep = low + static_cast<int64_t>(static_cast<double>(high - low) * static_cast<double>(limit - tokens_low) /
                                          static_cast<double>(tokens_high - tokens_low));
      }
      keep = std::clamp(keep, low + 1, high - 1);
      std::vector<int32_t> candidate = ids(keep);
      if (static_cast<int64_t>(candidate.size()) <= limit) {
        low = keep;
        best = std::move(candidate);
      } else {
        high = keep;
        tokens_high = static_cast<int64_t>(candidate.size());
      }
    }
    return best;
  }

 private:
  /// Of the prompt with `keep` characters of the content left.
  std::vector<int32_t> ids(int64_t keep) {
    const int64_t count = static_cast<int64_t>(offsets_.size()) - 1;
    const int64_t head = middle_ ? (keep + 1) / 2 : 0;
    const int64_t tail = keep - head;
    messages_[place_].content = content_.substr(0, offsets_[head]) + content_.substr(offsets_[count - tail]);
    return renderer_.prompt_ids(messages_, task_prompt_);
  }

  const PromptRenderer& renderer_;
  std::vector<Message> messages_;
  std::string_view task_prompt_;
  bool middle_;
  size_t place_;
  std::string content_;
  std::vector<size_t> offsets_;
};

}  // namespace

std::vector<int32_t> row_prompt_ids(const PromptRenderer& renderer, const Row& row, std::string_view task_prompt) {
  try {
    return renderer.prompt_ids(row.messages, task_prompt);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    ErrorDetails details = error.details();
    details.problem = (details.where.empty() ? "" : details.where + ": ") + details.problem;
    details.where = row.where();
    throw Error(error.kind(), details);
  }
}

FittedPrompt fit_prompt(const PromptRenderer& renderer, const Row& row, const config::TaskConfig& task, int64_t limit,
                        config::Overflow overflow) {
  const std::string task_prompt = task.prompt.value_or("");
  FittedPrompt fitted{.ids = row_prompt_ids(renderer, row, task_prompt)};
  fitted.tokens_before = static_cast<int64_t>(fitted.ids.size());
  if (fitted.tokens_before <= limit) return fitted;

  const std::string found = std::to_string(fitted.tokens_before) + " tokens";
  const std::string expected = "at most " + std::to_string(limit) + " beside the answer";
  switch (overflow) {
    case config::Overflow::kError:
      throw Error(ErrorKind::kData, {row.where(), "the prompt is too long", found, expected,
                                     "raise data.max_length, or set `overflow:` to drop, cut_middle or cut_head"});
    case config::Overflow::kDrop:
      fitted.ids.clear();
      fitted.dropped = true;
      return fitted;
    case config::Overflow::kCutMiddle:
    case config::Overflow::kCutHead:
      break;
  }
  int64_t least = 0;
  fitted.ids = Cutter(renderer, row, task_prompt, overflow).fit(limit, fitted.tokens_before, least);
  fitted.cut = true;
  if (fitted.ids.empty()) {
    throw Error(ErrorKind::kData,
                {row.where(), "the prompt is too long even without its last user message, which alone is cut",
                 std::to_string(least) + " tokens of template, system message, task prompt and earlier turns", expected,
                 "raise data.max_length, or set `overflow: drop`"});
  }
  return fitted;
}

}  // namespace moelora::data
