// The state that copies of a Tokenizer share. Internal to src/text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "text/rust_library.h"
#include "text/tokenizer.h"

namespace moelora::text::internal {

struct FreeTokenizer {
  void operator()(MoeloraTokenizer* tokenizer) const { moelora_tokenizer_free(tokenizer); }
};

struct TokenizerHandle {
  std::unique_ptr<MoeloraTokenizer, FreeTokenizer> tokenizer;
  MoeloraTokenizerFacts facts{};
  std::unordered_set<int32_t> special_ids;
  std::string name;
};

/// contents and settings: as moelora_tokenizer_new takes them.
std::shared_ptr<const TokenizerHandle> make_tokenizer(std::string_view contents, std::string_view settings,
                                                      std::string name);

/// The whole file. Throws Error(kModel) naming it where it is missing or can't be read.
std::string read_model_file(const std::filesystem::path& path);

}  // namespace moelora::text::internal
