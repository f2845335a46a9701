#include "text/tokenizer.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "text/tokenizer_handle.h"

namespace moelora::text {
namespace internal {

std::shared_ptr<const TokenizerHandle> make_tokenizer(std::string_view contents, std::string_view settings,
                                                      std::string name) {
  const auto check = [&name](MoeloraStatus status, const Bytes& message) {
    if (status == MOELORA_OK) return;
    // A panic, too, is the file's: `tokenizers` panics on some that contradict themselves.
    throw Error(ErrorKind::kModel, {.where = name,
                                    .problem = "can't be used as a tokenizer",
                                    .found = message.str(),
                                    .expected = "a tokenizer.json"});
  };
  auto handle = std::make_shared<TokenizerHandle>();
  Bytes message;
  MoeloraTokenizer* tokenizer = nullptr;
  check(moelora_tokenizer_new(slice(contents), slice(settings), &tokenizer, message.out()), message);
  handle->tokenizer.reset(tokenizer);
  Ids special_ids;
  check(moelora_tokenizer_facts(tokenizer, &handle->facts, special_ids.out(), message.out()), message);
  constexpr int64_t kMostIds = int64_t{1} << 31;
  if (handle->facts.id_limit > kMostIds) {
    throw Error(ErrorKind::kModel, {.where = name,
                                    .problem = "a token's id is too large",
                                    .found = std::to_string(handle->facts.id_limit - 1),
                                    .expected = "ids below " + std::to_string(kMostIds)});
  }
  handle->special_ids.insert(special_ids.begin(), special_ids.end());
  handle->name = std::move(name);
  return handle;
}

std::string read_model_file(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw Error(ErrorKind::kModel, {.where = path.string(), .problem = "no such file"});
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    throw Error(ErrorKind::kModel, {.where = path.string(), .problem = "not a file"});
  }
  std::ifstream in(path, std::ios::binary);
  const auto size = in ? std::filesystem::file_size(path, error) : 0;
  std::string contents(error ? 0 : size, '\0');
  if (!in || error || !in.read(contents.data(), static_cast<std::streamsize>(contents.size()))) {
    throw Error(ErrorKind::kModel, {.where = path.string(), .problem = "can't be read", .found = std::strerror(errno)});
  }
  return contents;
}

}  // namespace internal

using internal::Bytes;
using internal::Ids;
using internal::slice;

namespace {

/// What the library says of a tokenizer in use. `text` is what invalid UTF-8 is about; anything else, a panic too, is
/// for a tokenizer.json that contradicts itself.
Error use_error(MoeloraStatus status, const Bytes& message, const std::string& text, const std::string& tokenizer) {
  const ErrorKind kind = status == MOELORA_INTERNAL ? ErrorKind::kModel : internal::kind_of(status);
  return Error(kind, {.where = kind == ErrorKind::kModel ? tokenizer : text,
                      .problem = kind == ErrorKind::kModel ? "fails on a text" : "can't be tokenised",
                      .found = message.str()});
}

}  // namespace

Tokenizer Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  return Tokenizer(internal::make_tokenizer(internal::read_model_file(tokenizer_json), "", tokenizer_json.string()));
}

Tokenizer Tokenizer::from_json(std::string_view contents, std::string name) {
  return Tokenizer(internal::make_tokenizer(contents, "", std::move(name)));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const MoeloraSlice input = slice(text);
  Ids ids, ends;
  Bytes message;
  size_t bad_text = 0;
  const MoeloraStatus status = moelora_tokenizer_encode(handle_->tokenizer.get(), &input, 1, options.add_special_tokens,
                                                        ids.out(), ends.out(), &bad_text, message.out());
  if (status != MOELORA_OK) {
    throw use_error(status, message, "text", handle_->name);
  }
  return ids.vector();
}

std::vector<std::vector<int32_t>> Tokenizer::encode_batch(std::span<const std::string> texts,
                                                          EncodeOptions options) const {
  std::vector<MoeloraSlice> inputs;
  inputs.reserve(texts.size());
  for (const std::string& text : texts) inputs.push_back(slice(text));
  Ids ids, ends;
  Bytes message;
  size_t bad_text = 0;
  const MoeloraStatus status =
      moelora_tokenizer_encode(handle_->tokenizer.get(), inputs.data(), inputs.size(), options.add_special_tokens,
                               ids.out(), ends.out(), &bad_text, message.out());
  if (status != MOELORA_OK) {
    throw use_error(status, message, "text " + std::to_string(bad_text), handle_->name);
  }
  std::vector<std::vector<int32_t>> result;
  result.reserve(texts.size());
  const int32_t* begin = ids.begin();
  for (const int32_t end : ends) {
    result.emplace_back(begin, ids.begin() + end);
    begin = ids.begin() + end;
  }
  return result;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  Bytes text, message;
  const MoeloraStatus status = moelora_tokenizer_decode(handle_->tokenizer.get(), ids.data(), ids.size(),
                                                        options.skip_special_tokens, text.out(), message.out());
  if (status != MOELORA_OK) {
    throw use_error(status, message, "tokens", handle_->name);
  }
  return text.str();
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const int32_t id = moelora_tokenizer_token_to_id(handle_->tokenizer.get(), slice(token));
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::string> Tokenizer::id_to_token(int32_t id) const {
  Bytes token;
  if (!moelora_tokenizer_id_to_token(handle_->tokenizer.get(), id, token.out())) return std::nullopt;
  return token.str();
}

int64_t Tokenizer::vocab_size() const {
  return handle_->facts.vocab_size;
}
int64_t Tokenizer::id_limit() const {
  return handle_->facts.id_limit;
}
bool Tokenizer::is_special(int32_t id) const {
  return handle_->special_ids.contains(id);
}
const std::string& Tokenizer::name() const {
  return handle_->name;
}

}  // namespace moelora::text
