// A model's tokenizer: text to token ids and back. tokenizer.json as Hugging Face's `tokenizers` runs it, or a
// SentencePiece tokenizer.model as the sentencepiece library does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moelora::text {

namespace internal {
class TokenizerBackend;
}

struct TextAssets;

struct EncodeOptions {
  /// Applies the file's post-processor (Llama's <s>, say). Right for plain text; wrong for what a chat template
  /// rendered, which already contains them. Special tokens written out in the text are recognised either way.
  bool add_special_tokens = true;
};

struct DecodeOptions {
  bool skip_special_tokens = true;
};

/// Immutable and cheap to copy (copies share one tokenizer); const calls may run in any number of threads at once.
/// Truncation and padding set in tokenizer.json are ignored, as transformers ignores them unless asked.
class Tokenizer {
 public:
  /// A tokenizer.json, or a SentencePiece model where the name ends with ".model": alone, without what a directory's
  /// other files add (load_text_assets reads those). Throws Error(kModel) naming the file where it is missing,
  /// truncated or not a tokenizer.
  static Tokenizer load(const std::filesystem::path& file);
  /// From the contents of either; `name` stands for the file in errors.
  static Tokenizer from_json(std::string_view contents, std::string name);
  static Tokenizer from_sentencepiece(std::string_view contents, std::string name);

  /// Throws Error(kData) where `text` is not valid UTF-8, with the byte offset (never the text).
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const;
  /// As encode() of each, in order; with a tokenizer.json on the Rust library's thread pool (RAYON_NUM_THREADS). Errors
  /// name the index of the text.
  std::vector<std::vector<int32_t>> encode_batch(std::span<const std::string> texts, EncodeOptions options) const;

  /// Ids outside the vocabulary are skipped; invalid UTF-8 becomes U+FFFD.
  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const;

  std::optional<int32_t> token_to_id(std::string_view token) const;
  /// The token as the vocabulary spells it ("Ġthe"), or nullopt for an id that has none.
  std::optional<std::string> id_to_token(int32_t id) const;

  /// Number of tokens, added ones included. Model directories often have more embedding rows, and ids may have gaps.
  int64_t vocab_size() const;
  /// One more than the largest id: what the embedding must have at least.
  int64_t id_limit() const;
  /// Whether skip_special_tokens drops it. False for ids outside the vocabulary.
  bool is_special(int32_t id) const;

  /// What errors call it: the path, or the name given with the contents.
  const std::string& name() const;

 private:
  friend class DecodeStream;
  friend TextAssets load_text_assets(const std::filesystem::path& model_dir);
  explicit Tokenizer(std::shared_ptr<const internal::TokenizerBackend> backend) : backend_(std::move(backend)) {}

  std::shared_ptr<const internal::TokenizerBackend> backend_;
};

}  // namespace moelora::text
