// tokenizer.json, by the Rust library.
#include <unordered_set>

#include "core/error.h"
#include "text/rust_library.h"
#include "text/tokenizer_backend.h"

namespace moelora::text::internal {
namespace {

struct FreeTokenizer {
  void operator()(MoeloraTokenizer* tokenizer) const { moelora_tokenizer_free(tokenizer); }
};

class JsonTokenizer : public TokenizerBackend {
 public:
  JsonTokenizer(std::string_view contents, std::string_view settings, std::string name)
      : TokenizerBackend(std::move(name)) {
    Bytes message;
    MoeloraTokenizer* tokenizer = nullptr;
    check(moelora_tokenizer_new(slice(contents), slice(settings), &tokenizer, message.out()), message);
    tokenizer_.reset(tokenizer);
    Ids special_ids;
    check(moelora_tokenizer_facts(tokenizer, &facts_, special_ids.out(), message.out()), message);
    constexpr int64_t kMostIds = int64_t{1} << 31;
    if (facts_.id_limit > kMostIds) {
      throw Error(ErrorKind::kModel, {.where = this->name(),
                                      .problem = "a token's id is too large",
                                      .found = std::to_string(facts_.id_limit - 1),
                                      .expected = "ids below " + std::to_string(kMostIds)});
    }
    special_ids_.insert(special_ids.begin(), special_ids.end());
  }

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const override {
    const MoeloraSlice input = slice(text);
    Ids ids, ends;
    Bytes message;
    size_t bad_text = 0;
    const MoeloraStatus status = moelora_tokenizer_encode(tokenizer_.get(), &input, 1, options.add_special_tokens,
                                                          ids.out(), ends.out(), &bad_text, message.out());
    if (status != MOELORA_OK) throw use_error(status, message, "text");
    return ids.vector();
  }

  std::vector<std::vector<int32_t>> encode_batch(std::span<const std::string> texts,
                                                 EncodeOptions options) const override {
    std::vector<MoeloraSlice> inputs;
    inputs.reserve(texts.size());
    for (const std::string& text : texts) inputs.push_back(slice(text));
    Ids ids, ends;
    Bytes message;
    size_t bad_text = 0;
    const MoeloraStatus status =
        moelora_tokenizer_encode(tokenizer_.get(), inputs.data(), inputs.size(), options.add_special_tokens, ids.out(),
                                 ends.out(), &bad_text, message.out());
    if (status != MOELORA_OK) throw use_error(status, message, "text " + std::to_string(bad_text));
    std::vector<std::vector<int32_t>> result;
    result.reserve(texts.size());
    const int32_t* begin = ids.begin();
    for (const int32_t end : ends) {
      result.emplace_back(begin, ids.begin() + end);
      begin = ids.begin() + end;
    }
    return result;
  }

  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const override {
    Bytes text, message;
    const MoeloraStatus status = moelora_tokenizer_decode(tokenizer_.get(), ids.data(), ids.size(),
                                                          options.skip_special_tokens, text.out(), message.out());
    if (status != MOELORA_OK) throw use_error(status, message, "tokens");
    return text.str();
  }

  std::optional<int32_t> token_to_id(std::string_view token) const override {
    const int32_t id = moelora_tokenizer_token_to_id(tokenizer_.get(), slice(token));
    return id < 0 ? std::nullopt : std::optional(id);
  }

  std::optional<std::string> id_to_token(int32_t id) const override {
    Bytes token;
    if (!moelora_tokenizer_id_to_token(tokenizer_.get(), id, token.out())) return std::nullopt;
    return token.str();
  }

  int64_t vocab_size() const override { return facts_.vocab_size; }
  int64_t id_limit() const override { return facts_.id_limit; }
  bool is_special(int32_t id) const override { return special_ids_.contains(id); }

  bool is_byte(int32_t id) const override {
    if (!facts_.byte_fallback) return false;
    const std::string token = id_to_token(id).value_or("");
    return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
  }

 private:
  void check(MoeloraStatus status, const Bytes& message) const {
    if (status == MOELORA_OK) return;
    // A panic, too, is the file's: `tokenizers` panics on some that contradict themselves.
    throw Error(ErrorKind::kModel, {.where = name(),
                                    .problem = "can't be used as a tokenizer",
                                    .found = message.str(),
                                    .expected = "a tokenizer.json"});
  }

  /// What the library says of a tokenizer in use. `text` is what invalid UTF-8 is about; anything else, a panic too, is
  /// for a tokenizer.json that contradicts itself.
  Error use_error(MoeloraStatus status, const Bytes& message, const std::string& text) const {
    const ErrorKind kind = status == MOELORA_INTERNAL ? ErrorKind::kModel : kind_of(status);
    return Error(kind, {.where = kind == ErrorKind::kModel ? name() : text,
                        .problem = kind == ErrorKind::kModel ? "fails on a text" : "can't be tokenised",
                        .found = message.str()});
  }

  std::unique_ptr<MoeloraTokenizer, FreeTokenizer> tokenizer_;
  MoeloraTokenizerFacts facts_{};
  std::unordered_set<int32_t> special_ids_;
};

}  // namespace

std::shared_ptr<const TokenizerBackend> make_json_tokenizer(std::string_view contents, std::string_view settings,
                                                            std::string name) {
  return std::make_shared<JsonTokenizer>(contents, settings, std::move(name));
}

}  // namespace moelora::text::internal
