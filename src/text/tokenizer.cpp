#include "text/tokenizer.h"

#include "text/model_file.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_backend.h"

namespace moelora::text {

Tokenizer Tokenizer::load(const std::filesystem::path& file) {
  const std::string contents = internal::read_model_file(file);
  if (file.extension() == ".model")
    return Tokenizer(internal::make_sentencepiece_tokenizer(contents, {}, file.string()));
  return from_json(contents, file.string());
}

Tokenizer Tokenizer::from_json(std::string_view contents, std::string name) {
  return Tokenizer(internal::make_json_tokenizer(contents, "", std::move(name)));
}

Tokenizer Tokenizer::from_sentencepiece(std::string_view contents, std::string name) {
  return Tokenizer(internal::make_sentencepiece_tokenizer(contents, {}, std::move(name)));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  return backend_->encode(text, options);
}

std::vector<std::vector<int32_t>> Tokenizer::encode_batch(std::span<const std::string> texts,
                                                          EncodeOptions options) const {
  return backend_->encode_batch(texts, options);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  return backend_->decode(ids, options);
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const {
  return backend_->token_to_id(token);
}

std::optional<std::string> Tokenizer::id_to_token(int32_t id) const {
  return backend_->id_to_token(id);
}

int64_t Tokenizer::vocab_size() const {
  return backend_->vocab_size();
}
int64_t Tokenizer::id_limit() const {
  return backend_->id_limit();
}
bool Tokenizer::is_special(int32_t id) const {
  return backend_->is_special(id);
}
const std::string& Tokenizer::name() const {
  return backend_->name();
}

}  // namespace moelora::text
