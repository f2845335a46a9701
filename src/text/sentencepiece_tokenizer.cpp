#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/utf8.h"
#include "text/sentencepiece_model.h"

namespace moelora::text::internal {
namespace {

using sentencepiece::SentencePieceProcessor;

[[noreturn]] void refuse(const std::string& name, std::string problem, std::string found = "") {
  throw Error(ErrorKind::kModel, {.where = name, .problem = std::move(problem), .found = std::move(found)});
}

void load(SentencePieceProcessor& processor, std::string_view contents, const std::string& name) {
  check_sentencepiece_model(contents, name);
  const auto status = processor.LoadFromSerializedProto(contents);
  if (!status.ok()) refuse(name, "can't be used as a tokenizer", status.error_message());
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

std::string_view without_leading_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view without_trailing_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

class SentencePieceTokenizer : public TokenizerBackend {
 public:
  SentencePieceTokenizer(std::string_view contents, const SentencePieceSettings& settings, std::string name)
      : TokenizerBackend(std::move(name)), split_special_tokens_(settings.split_special_tokens) {
    load(processor_, contents, this->name());
    pieces_ = processor_.GetPieceSize();
    id_limit_ = pieces_;
    for (const AddedToken& token : settings.added_tokens) add(token);
    prefix_ = ids_of(settings.prefix);
    suffix_ = ids_of(settings.suffix);
  }

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const override {
    return encode(text, options, "text");
  }

  std::vector<std::vector<int32_t>> encode_batch(std::span<const std::string> texts,
                                                 EncodeOptions options) const override {
    std::vector<std::vector<int32_t>> result;
    result.reserve(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      result.push_back(encode(texts[i], options, "text " + std::to_string(i)));
    }
    return result;
  }

  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const override {
    std::string text;
    std::vector<int> run;  // of the model's own pieces
    const auto flush = [&] {
      if (run.empty()) return;
      std::string part;
      const auto status = processor_.Decode(run, &part);
      if (!status.ok()) refuse(name(), "fails on tokens", status.error_message());
      text += part;
      run.clear();
    };
    for (const int32_t id : ids) {
      if (options.skip_special_tokens && is_special(id)) continue;
      if (const auto added = added_.find(id); added != added_.end()) {
        flush();
        text += added->second.text;
      } else if (id >= 0 && id < pieces_) {
        run.push_back(id);
      }
    }
    flush();
    return text;
  }

  std::optional<int32_t> token_to_id(std::string_view token) const override {
    if (const auto added = ids_.find(std::string(token)); added != ids_.end()) return added->second;
    const int id = processor_.PieceToId(token);  // the unknown piece's where there is none
    return id >= 0 && id < pieces_ && processor_.IdToPiece(id) == token && !added_.contains(id) ? std::optional(id)
                                                                                                : std::nullopt;
  }

  std::optional<std::string> id_to_token(int32_t id) const override {
    if (const auto added = added_.find(id); added != added_.end()) return added->second.text;
    return id >= 0 && id < pieces_ ? std::optional(processor_.IdToPiece(id)) : std::nullopt;
  }

  int64_t vocab_size() const override {
    return pieces_ + std::ranges::count_if(added_, [this](const auto& entry) { return entry.first >= pieces_; });
  }
  int64_t id_limit() const override { return id_limit_; }

  bool is_special(int32_t id) const override {
    if (const auto added = added_.find(id); added != added_.end()) return added->second.special;
    return id >= 0 && id < pieces_ && (processor_.IsControl(id) || processor_.IsUnknown(id));
  }

  bool is_byte(int32_t id) const override {
    return id >= 0 && id < pieces_ && !added_.contains(id) && processor_.IsByte(id);
  }

 private:
  struct Match {
    size_t position = std::string_view::npos;
    int32_t id = -1;
    const AddedToken* token = nullptr;
  };

  void add(const AddedToken& token) {
    constexpr int64_t kMostIds = int64_t{1} << 31;
    if (token.text.empty()) refuse(name(), "a token added to it is empty");
    const std::optional<int32_t> own = token_to_id(token.text);
    const int64_t id = token.id.value_or(own.value_or(static_cast<int32_t>(std::min(id_limit_, kMostIds - 1))));
    if (id < 0 || id + 1 >= kMostIds) refuse(name(), "a token's id is out of range", std::to_string(id));
    if (const auto other = added_.find(static_cast<int32_t>(id)); other != added_.end()) {
      if (other->second.text == token.text) return;
      refuse(name(), "two added tokens have one id",
             "`" + other->second.text + "` and `" + token.text + "`, " + std::to_string(id));
    }
    if (!ids_.emplace(token.text, static_cast<int32_t>(id)).second) return;
    added_.emplace(static_cast<int32_t>(id), token);
    by_first_byte_[token.text.front()].push_back(static_cast<int32_t>(id));
    id_limit_ = std::max(id_limit_, id + 1);
  }

  std::vector<int32_t> ids_of(const std::vector<std::string>& tokens) const {
    std::vector<int32_t> ids;
    for (const std::string& token : tokens) {
      const std::optional<int32_t> id = token_to_id(token);
      if (!id) refuse(name(), "the vocabulary has no `" + token + "`");
      ids.push_back(*id);
    }
    return ids;
  }

  /// The longest of the added tokens that begin at `position`.
  Match match_at(std::string_view text, size_t position, bool behind_another) const {
    Match best;
    const auto candidates = by_first_byte_.find(text[position]);
    if (candidates == by_first_byte_.end()) return best;
    for (const int32_t id : candidates->second) {
      const AddedToken& token = added_.at(id);
      if (token.behind_another && !behind_another) continue;
      if (split_special_tokens_ && token.special) continue;
      if (best.token != nullptr && token.text.size() <= best.token->text.size()) continue;
      if (text.substr(position, token.text.size()) == token.text) best = {position, id, &token};
    }
    return best;
  }

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options, const std::string& where) const {
    if (const std::optional<size_t> bad = first_invalid_utf8(text)) {
      throw Error(ErrorKind::kData, {.where = where,
                                     .problem = "can't be tokenised",
                                     .found = "byte " + std::to_string(*bad) + " is not valid UTF-8"});
    }
    std::vector<int32_t> ids;
    if (options.add_special_tokens) ids = prefix_;
    const AddedToken* before = nullptr;
    size_t begin = 0;
    for (size_t i = 0; i < text.size();) {
      const Match match = match_at(text, i, before != nullptr && i == begin);
      if (match.token == nullptr) {
        ++i;
        continue;
      }
      append_part(text.substr(begin, i - begin), before, match.token, ids);
      ids.push_back(match.id);
      before = match.token;
      begin = i = i + match.token->text.size();
    }
    append_part(text.substr(begin), before, nullptr, ids);
    if (options.add_special_tokens) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
    return ids;
  }

  /// What stands between two added tokens, or a token and an end of the text.
  void append_part(std::string_view part, const AddedToken* before, const AddedToken* after,
                   std::vector<int32_t>& ids) const {
    if (before != nullptr && before->rstrip) part = without_leading_blanks(part);
    if (after != nullptr && after->lstrip) part = without_trailing_blanks(part);
    if (part.empty()) return;
    std::vector<int> pieces;
    const auto status = processor_.Encode(part, &pieces);
    if (!status.ok()) refuse(name(), "fails on a text", status.error_message());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

  SentencePieceProcessor processor_;
  bool split_special_tokens_ = false;
  int32_t pieces_ = 0;
  int64_t id_limit_ = 0;
  std::map<int32_t, AddedToken> added_;                 // by id; the text of a piece with that id counts no more
  std::unordered_map<std::string, int32_t> ids_;        // of the added tokens
  std::map<char, std::vector<int32_t>> by_first_byte_;  // of the added tokens' texts
  std::vector<int32_t> prefix_, suffix_;
};

}  // namespace

std::shared_ptr<const TokenizerBackend> make_sentencepiece_tokenizer(std::string_view contents,
                                                                     const SentencePieceSettings& settings,
                                                                     std::string name) {
  return std::make_shared<SentencePieceTokenizer>(contents, settings, std::move(name));
}

SentencePieceNames sentencepiece_names(std::string_view contents, const std::string& name) {
  SentencePieceProcessor processor;
  load(processor, contents, name);
  const auto piece = [&processor](int id) {
    return id >= 0 && id < processor.GetPieceSize() ? processor.IdToPiece(id) : std::string();
  };
  return {.bos = piece(processor.bos_id()),
          .eos = piece(processor.eos_id()),
          .pad = piece(processor.pad_id()),
          .unk = piece(processor.unk_id())};
}

}  // namespace moelora::text::internal
