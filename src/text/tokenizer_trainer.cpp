#include "text/tokenizer_trainer.h"

#include <algorithm>

#include "text/rust_library.h"

namespace moelora::text {
namespace {

constexpr int64_t kByteCount = 256;
constexpr int64_t kLargestVocabulary = int64_t{1} << 22;

void check(const BpeTrainingOptions& options) {
  const int64_t smallest = kByteCount + static_cast<int64_t>(options.special_tokens.size());
  if (options.vocab_size < smallest || options.vocab_size > kLargestVocabulary) {
    throw Error(ErrorKind::kConfig, {.where = "vocab_size",
                                     .problem = "no such tokenizer",
                                     .found = std::to_string(options.vocab_size),
                                     .expected = std::to_string(smallest) + " (the bytes and the special tokens) to " +
                                                 std::to_string(kLargestVocabulary)});
  }
  if (options.min_frequency < 1) {
    throw Error(ErrorKind::kConfig,
                {.where = "min_frequency", .problem = "not positive", .found = std::to_string(options.min_frequency)});
  }
  std::vector<std::string> sorted = options.special_tokens;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    throw Error(ErrorKind::kConfig, {.where = "special_tokens", .problem = "`" + *twice + "` twice"});
  if (!sorted.empty() && sorted.front().empty()) {
    throw Error(ErrorKind::kConfig, {.where = "special_tokens", .problem = "an empty token"});
  }
}

std::vector<MoeloraSlice> slices(std::span<const std::string> texts) {
  std::vector<MoeloraSlice> result;
  result.reserve(texts.size());
  for (const std::string& text : texts) result.push_back(internal::slice(text));
  return result;
}

}  // namespace

std::string train_byte_level_bpe(std::span<const std::string> texts, const BpeTrainingOptions& options) {
  check(options);
  const std::vector<MoeloraSlice> inputs = slices(texts);
  const std::vector<MoeloraSlice> special_tokens = slices(options.special_tokens);
  internal::Bytes json, message;
  size_t bad_text = 0;
  const MoeloraStatus status =
      moelora_train_bpe(inputs.data(), inputs.size(), special_tokens.data(), special_tokens.size(),
                        static_cast<size_t>(options.vocab_size), static_cast<size_t>(options.min_frequency), json.out(),
                        &bad_text, message.out());
  if (status != MOELORA_OK) {
    throw Error(
        internal::kind_of(status),
        {.where = "text " + std::to_string(bad_text), .problem = "can't train a tokenizer", .found = message.str()});
  }
  return json.str();
}

}  // namespace moelora::text
