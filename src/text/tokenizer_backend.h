// What a Tokenizer stands on: Hugging Face's `tokenizers` with a tokenizer.json, or the sentencepiece library with a
// tokenizer.model. Immutable; any number of threads may use one at once. Internal to src/text.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace moelora::text::internal {

/// The functions of Tokenizer, which says what they do.
class TokenizerBackend {
 public:
  explicit TokenizerBackend(std::string name) : name_(std::move(name)) {}
  TokenizerBackend(const TokenizerBackend&) = delete;
  TokenizerBackend& operator=(const TokenizerBackend&) = delete;
  virtual ~TokenizerBackend() = default;

  virtual std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const = 0;
  virtual std::vector<std::vector<int32_t>> encode_batch(std::span<const std::string> texts,
                                                         EncodeOptions options) const = 0;
  virtual std::string decode(std::span<const int32_t> ids, DecodeOptions options) const = 0;
  virtual std::optional<int32_t> token_to_id(std::string_view token) const = 0;
  virtual std::optional<std::string> id_to_token(int32_t id) const = 0;
  virtual int64_t vocab_size() const = 0;
  virtual int64_t id_limit() const = 0;
  virtual bool is_special(int32_t id) const = 0;
  /// Whether the token is one byte, which the decoder joins with its neighbours into characters ("<0xE4>").
  virtual bool is_byte(int32_t id) const = 0;

  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

/// From a tokenizer.json; contents and settings as moelora_tokenizer_new takes them. Throws Error(kModel) naming it.
std::shared_ptr<const TokenizerBackend> make_json_tokenizer(std::string_view contents, std::string_view settings,
                                                            std::string name);

}  // namespace moelora::text::internal
